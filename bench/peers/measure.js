// What bench/measure.hpp does, for Node.
'use strict';
const fs = require('fs');

const isSmall = process.argv[2] === '--small';

function cpuNs() {
  const used = process.cpuUsage();
  return (used.user + used.system) * 1000;
}

function wallNs() {
  return Number(process.hrtime.bigint());
}

function printRow(name, value, unit, checksum) {
  fs.writeSync(1, `${name} ${value.toFixed(3)} ${unit} ${checksum}\n`);
}

// Runs `work(count)`, which gives a checksum, after a warm-up and prints the median of three.
async function measure(name, count, work, clock = cpuNs) {
  await work(Math.floor(count / 16) + 1);
  const took = [];
  let checksum = 0;
  for (let i = 0; i < 3; ++i) {
    const before = clock();
    checksum = await work(count);
    took.push((clock() - before) / count);
  }
  took.sort((a, b) => a - b);
  printRow(name, took[1], 'ns', checksum);
}

function scramble(n) {
  n = (n ^ (n >>> 16)) >>> 0;
  n = Math.imul(n, 0x45d9f3b) >>> 0;
  return (n ^ (n >>> 16)) >>> 0;
}

function privateBytes() {
  const [, resident, shared] = fs.readFileSync('/proc/self/statm', 'utf8').split(' ').map(Number);
  return (resident - shared) * 4096;
}

module.exports = { isSmall, cpuNs, wallNs, printRow, measure, scramble, privateBytes };
