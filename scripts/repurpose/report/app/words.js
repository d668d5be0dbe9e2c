// Numbers in words that a biologist reads.

const DASH = "\u2013";

function whole(number) {
  return Math.round(number).toLocaleString("en-US");
}

// "3 in 100": the base is the first power of ten, from 100, that makes the share at least 1.
function baseOf(share) {
  let base = 100;
  while (share * base < 0.95 && base < 1e6) base *= 10;
  return base;
}

function timesOf(share, base) {
  const times = share * base;
  return times >= 9.95 || times === 0 ? whole(times) : String(Number(times.toPrecision(2)));
}

function inWords(share) {
  if (share < 0.5e-6) return "fewer than 1 in 1,000,000";
  if (share > 0.995) return "more than 99 in 100";
  const base = baseOf(share);
  return `about ${whole(Math.max(1, share * base))} in ${whole(base)}`;
}

// The bin of the calibration test that a probability is in: the nearest mean prediction, in log-odds.
function binOf(bins, probability) {
  const logOdds = (p) => Math.log(Math.max(p, 1e-12) / Math.max(1 - p, 1e-12));
  const distance = (bin) => Math.abs(logOdds(bin.predicted) - logOdds(probability));
  return bins.length ? bins.reduce((best, bin) => (distance(bin) < distance(best) ? bin : best)) : null;
}

// The share of treatments among the test pairs with scores like this one; below the lowest bin, at most its share.
function observedInWords(row) {
  const bin = binOf(row.bins, row.probability);
  if (!bin) return inWords(row.probability);
  const isBelow = row.probability < Math.min(...row.bins.map((each) => each.predicted)) / 2;
  return isBelow || !bin.observed ? inWords(bin.high).replace("about", "fewer than") : inWords(bin.observed);
}

function intervalInWords(bin) {
  const base = baseOf(bin.observed || bin.high);
  return `${timesOf(bin.low, base)} to ${timesOf(bin.high, base)} in ${whole(base)}`;
}

function plural(count, word, words = `${word}s`) {
  return `${whole(count)} ${count === 1 ? word : words}`;
}
