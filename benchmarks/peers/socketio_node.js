// Socket.IO on Node: `emit` to a room, WebSocket transport only.
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const server = createServer()
const io = new Server(server, { transports: ['websocket'], serveClient: false })

io.on('connection', (socket) => {
  socket.on('join', (room, done) => {
    socket.join(room)
    done('joined')
  })
  socket.on('room_message', (message) => io.to(message.room).emit('room_message', message))
})

server.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 2048 })
