// SPDX-License-Identifier: MIT
// The `words` workload by DuckDB, from its package for Node.js: see README.md.
//
//     words_duckdb.mjs PROGRAMS MODE SIZE WORKERS PARAMETER
//
// prints the figure as one JSON line. The text is that of bench_words, which makes it, in PROGRAMS.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// As `require` finds it: also where NODE_PATH says.
const { DuckDBInstance } = createRequire(import.meta.url)("@duckdb/node-api");

const [programs, , size, workers, parameter] = process.argv.slice(2);
const path = join(programs, `words-${size}-${parameter * 1000}.txt`);
const [bytes, expected] = readFileSync(`${path}.facts`, "utf8").split(" ").map(Number);
readFileSync(path); // into the page cache

const instance = await DuckDBInstance.create(":memory:", { threads: workers });
const connection = await instance.connect();
const begin = performance.now();
const reader = await connection.runAndReadAll(`
  SELECT count(*), sum(n) FROM (
    SELECT word, count(*) AS n FROM (
      SELECT unnest(string_split(line, ' ')) AS word
      FROM read_csv('${path}', columns = {'line': 'VARCHAR'}, header = false, delim = '\\x01',
                    quote = '', escape = '', auto_detect = false))
    WHERE word <> '' GROUP BY word)`);
const taken = (performance.now() - begin) / 1000;
const [distinct, words] = reader.getRows()[0].map(Number);
if (words !== expected) {
  console.error(`wrong counts: ${words}, not ${expected}`);
  process.exit(1);
}
console.log(JSON.stringify({ value: (bytes / taken) * 1e-9, unit: "GB/s", seconds: taken, distinct }));
