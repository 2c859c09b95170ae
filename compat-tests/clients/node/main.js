'use strict';
// The Node client against one server: main.js SERVER PROXY-CONTROL. Prints `ok STEP` or `FAILED STEP`, in the end `done`.

const { Bench } = require('./harness');

async function main() {
  const bench = new Bench(process.argv[2], process.argv[3]);
  for (const run of [...require('./basics'), ...require('./sessions'), ...require('./story')]) {
    await bench.step(run.name, run);
  }
  console.log('done');
  process.exit(bench.failed ? 1 : 0);
}

main();
