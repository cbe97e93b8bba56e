// Runs the suite of Promises/A+ and says how many cases passed; it is called with the folder of its packages.
"use strict";

const path = require("path");
const adapter = require("./adapter.js");
const suite = require(path.join(process.argv[2], "node_modules", "promises-aplus-tests"));
const Mocha = require(path.join(process.argv[2], "node_modules", "mocha"));

const CASES = 872;
const counts = { passed: 0, failed: 0 };

function Reporter(runner) {
  Mocha.reporters.Base.call(this, runner);
  runner.on("pass", () => ++counts.passed);
  runner.on("fail", (test, error) => {
    ++counts.failed;
    console.log(`failed: ${test.fullTitle()}\n  ${error && error.stack}`);
  });
}

// A long patience for a busy machine: nothing here measures time.
suite(adapter, { reporter: Reporter, timeout: 60000 }, () => {
  adapter.close();
  console.log(`${counts.passed} of ${CASES} cases passed`);
  process.exitCode = counts.passed === CASES && counts.failed === 0 ? 0 : 1;
});
