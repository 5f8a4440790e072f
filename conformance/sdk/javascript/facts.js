"use strict";
// Counts and prints what the program has proven; the first fact that does not hold ends it.

const { isDeepStrictEqual, inspect } = require("node:util");

let proven = 0;

/** What was expected and what was seen instead. */
class NotAFact extends Error {}

/** `fact` is proven when `condition` is true; `seen` is shown when it is not. */
function holds(fact, condition, seen) {
  if (!condition) throw new NotAFact(`${fact}: ${inspect(seen, { depth: 5 })}`);
  proven += 1;
  console.log(`ok ${fact}`);
}

/** `fact` is proven when both values are equal. */
function equal(fact, seen, expected) {
  if (!isDeepStrictEqual(seen, expected)) {
    throw new NotAFact(`${fact}: expected ${inspect(expected, { depth: 5 })}, got ${inspect(seen, { depth: 5 })}`);
  }
  holds(fact, true);
}

/**
 * The text of the error that `promise` ends with.
 *
 * The SDK throws it, throws it within an object, or answers with it.
 */
async function error(promise) {
  let answer;
  try {
    answer = await promise;
  } catch (thrown) {
    return String(thrown.error ?? thrown);
  }
  if (answer?.error) return String(answer.error);
  throw new NotAFact(`expected an error, got the answer ${inspect(answer)}`);
}

/** The first true value of `condition`, within twenty seconds. */
async function waitFor(what, condition) {
  const end = Date.now() + 20_000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new NotAFact(`no ${what} within 20 seconds`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

module.exports = { holds, equal, error, waitFor, total: () => proven };
