// Node's side of tasks_bench: async functions and promises.
'use strict';
const { isSmall, measure } = require('./measure.js');

const scale = isSmall ? 1000 : 1;

async function number(n) {
  return n;
}

async function callAndAwait(count) {
  let sum = 0;
  for (let i = 0; i < count; ++i) sum += await number(i);
  return sum;
}

// A promise starts at once and is a task already: to spawn is to queue its first step.
async function spawnAndAwait(count) {
  let sum = 0;
  for (let i = 0; i < count; ++i) sum += await Promise.resolve(i).then(number);
  return sum;
}

async function spawnMany(count) {
  let sum = 0;
  const all = [];
  for (let i = 0; i < count; ++i) all.push(Promise.resolve().then(async () => void ++sum));
  await Promise.all(all);
  return sum;
}

async function yieldBetweenTwo(count) {
  let turns = 0;
  async function takeTurns(n) {
    for (let i = 0; i < n; ++i) {
      await null;
      ++turns;
    }
  }
  await Promise.all([takeTurns(Math.floor(count / 2)), takeTurns(Math.floor(count / 2))]);
  return turns;
}

async function joinTwo(count) {
  let sum = 0;
  for (let i = 0; i < count; ++i) {
    const [one, other] = await Promise.all([number(i), number(2 * i)]);
    sum += one + other;
  }
  return sum;
}

(async () => {
  await measure('call_await', 10_000_000 / scale, callAndAwait);
  await measure('spawn_await', 2_000_000 / scale, spawnAndAwait);
  await measure('spawn_join/n=1000000', 1_000_000 / scale, spawnMany);
  await measure('yield', 8_000_000 / scale, yieldBetweenTwo);
  await measure('when_all_two', 1_000_000 / scale, joinTwo);
})();
