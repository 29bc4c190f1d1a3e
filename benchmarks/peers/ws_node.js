// `ws` on Node: a loop over the members of a room with one Buffer for all, and a bare echo.
import { WebSocket, WebSocketServer } from 'ws'

const rooms = new Map()
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 2048 })

server.on('connection', (socket, request) => {
  socket.on('error', () => {})
  if (request.url === '/echo') {
    socket.on('message', (data) => socket.send(data, { binary: false }))
    return
  }
  socket.once('message', (name) => {
    const room = name.toString()
    if (!rooms.has(room)) rooms.set(room, new Set())
    const members = rooms.get(room)
    members.add(socket)
    socket.on('close', () => members.delete(socket))
    socket.on('message', (data) => {
      for (const member of members) {
        if (member.readyState === WebSocket.OPEN) member.send(data, { binary: false })
      }
    })
    socket.send('{"type":"room_joined"}')
  })
})
