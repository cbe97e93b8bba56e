// Node's side of timers_bench.
'use strict';
const { isSmall, measure, printRow, privateBytes, scramble } = require('./measure.js');

const scale = isSmall ? 1000 : 1;
const lengthDivisor = isSmall ? 100 : 1;
const lengthOf = (n) => Math.floor((500_000 + (scramble(n) % 1_000_000)) / 1000 / lengthDivisor);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function createAndCancel(count) {
  let cancelled = 0;
  for (let i = 0; i < count; ++i) {
    clearTimeout(setTimeout(() => {}, lengthOf(i)));
    ++cancelled;
  }
  return cancelled;
}

async function fire(count) {
  let woken = 0;
  async function sleeper(ms) {
    await sleep(ms);
    ++woken;
  }
  const all = [];
  for (let i = 0; i < count; ++i) all.push(sleeper(lengthOf(i)));
  await Promise.all(all);
  return woken;
}

function sleepAll(count) {
  const before = privateBytes();
  let woken = 0;
  async function sleeper() {
    await sleep(3_600_000);
    ++woken;
  }
  for (let i = 0; i < count; ++i) sleeper();
  printRow('sleeping_task/n=1000000', Math.max(privateBytes() - before, 0) / count, 'bytes', count);
}

// Nothing cancels a million of Node's sleeps, so their memory is measured in a process of its own.
if (process.argv.includes('--sleep')) {
  sleepAll(999_000 / scale);
  process.exit(0);
}
require('child_process').execFileSync(process.execPath,
  [__filename, isSmall ? '--small' : '--full', '--sleep'], { stdio: ['ignore', 'inherit', 'inherit'] });
(async () => {
  await measure('create_cancel', 2_000_000 / scale, createAndCancel);
  await measure('fire/n=1000000', 1_000_000 / scale, fire);
})();
