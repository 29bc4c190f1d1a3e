// Bun's native publish, and a bare echo.
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  fetch(request, server) {
    const { pathname } = new URL(request.url)
    if (server.upgrade(request, { data: { echo: pathname === '/echo', room: '' } })) return
    return new Response('WebSocket only', { status: 426 })
  },
  websocket: {
    perMessageDeflate: false,
    message(socket, text) {
      if (socket.data.room) server.publish(socket.data.room, text)
      else if (socket.data.echo) socket.send(text)
      else {
        socket.data.room = text
        socket.subscribe(text)
        socket.send('{"type":"room_joined"}')
      }
    },
  },
})
