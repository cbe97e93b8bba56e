// Node's side of tasks_mt_bench: a worker thread and messages.
'use strict';
const { Worker, isMainThread, parentPort } = require('worker_threads');

if (!isMainThread) {
  let received = 0;
  parentPort.on('message', (message) => {
    if (message.ball) return parentPort.postMessage(message);
    ++received;
    if (received < message.count) return undefined;
    parentPort.postMessage(received);
    received = 0;
    return undefined;
  });
} else {
  const { isSmall, measure, wallNs } = require('./measure.js');
  const scale = isSmall ? 1000 : 1;
  const worker = new Worker(__filename);

  const pingPong = (count) => new Promise((resolve) => {
    let played = 0;
    const back = (message) => {
      if (++played < count) return worker.postMessage(message);
      worker.off('message', back);
      return resolve(played);
    };
    worker.on('message', back);
    worker.postMessage({ ball: 1 });
  });
  const postMany = (count) => new Promise((resolve) => {
    worker.once('message', resolve);
    for (let i = 0; i < count; ++i) worker.postMessage({ count });
  });

  (async () => {
    await measure('ping_pong', 10_000 / scale, pingPong, wallNs);
    await measure('post', 1_000_000 / scale, postMany, wallNs);
    await worker.terminate();
  })();
}
