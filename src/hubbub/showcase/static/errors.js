// The wire's error codes in words for people. Where the server's own sentence says more, that one is shown.

const WORDS = {
  unauthorized: "Please log in again.",
  forbidden: "You may not do that here.",
  unknown_room: "There is no such room.",
  not_joined: "You are not in this room; join it again to write.",
  too_many_rooms: "You are in too many rooms; leave one first.",
  rate_limited: "That was too fast for the server; wait a moment and try again.",
  unavailable: "The server cannot pass messages on right now; try again in a moment.",
  internal: "Something went wrong on the server.",
  offline: "There is no connection right now; nothing was sent.",
  lost: "The connection broke before the answer came; the message may or may not have gone out.",
  timeout: "The server did not answer in time; the message may or may not have gone out.",
};

export function inWords({ code, message }) {
  return WORDS[code] ?? message ?? "That did not work.";
}
