// Node's HTTP server.
'use strict';
const http = require('http');

const server = http.createServer((request, answer) => {
  answer.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 13 });
  answer.end('Hello, world!');
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(`listening ${server.address().port}`);
});
