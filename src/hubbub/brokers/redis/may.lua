-- Before the scripts that call it. What is refused in the middle of a script leaves half of it done: a message that is
-- kept and not sent, a member that is there and was never announced. So a right that is missing refuses all of it.
local function may(command, ...)
  if redis.acl_check_cmd and not redis.acl_check_cmd(command, ...) then
    error(redis.error_reply('NOPERM no right to ' .. command .. ', or not on this key or channel'))
  end
end
