// How samples are taken and summed up. Pure, but for `alternate`.

/** The middle of some numbers; of an even count, the mean of the two in the middle. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The smallest number that `share` of all are not above. */
export function percentile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

/** `{ median, low, high, samples }`: low and high are the extremes. */
export function summary(numbers) {
  return { median: median(numbers), low: Math.min(...numbers), high: Math.max(...numbers), samples: numbers.length };
}

/** How often the second contestant's figure goes into the first's: of each round's pair, summed up. */
export const ratio = (numbers, others) => summary(numbers.map((number, round) => number / others[round]));

/**
 * Lets contestants take turns: warm-ups first, whose results are dropped, then `rounds`, each of which another one
 * begins. `once(contestant)` answers what is measured. Answers a Map from contestant to its results by round.
 */
export async function alternate(contestants, { warmUps = 1, rounds = 5 }, once) {
  const results = new Map(contestants.map((contestant) => [contestant, []]));
  for (let round = -warmUps; round < rounds; round += 1) {
    const first = (round + warmUps) % contestants.length;
    for (const contestant of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      const result = await once(contestant, round);
      if (round >= 0) results.get(contestant).push(result);
    }
  }
  return results;
}
