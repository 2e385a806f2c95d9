// docs/SCALE.md says what its figures say.

import assert from "node:assert/strict";
import { test } from "node:test";
import { filledIn, readFigures, readPage } from "../bench/scale.mjs";

test("the tables of docs/SCALE.md are those that bench:scale makes of docs/scale-figures.json", () => {
  assert.equal(filledIn(readPage(), readFigures()), readPage());
});
