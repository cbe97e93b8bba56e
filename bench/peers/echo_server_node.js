// Node's echo server.
'use strict';
const net = require('net');

const server = net.createServer({ noDelay: true }, (peer) => {
  peer.on('error', () => peer.destroy());
  peer.on('data', (data) => peer.write(data));
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`listening ${server.address().port}`);
});
