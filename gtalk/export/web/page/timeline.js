// A message as time goes by: its numbers between frames, and its captions.

/** Between two frames what lies between. */
export function rowAt(message, seconds) {
  const at = Math.max(0, Math.min(message.frames - 1, seconds * message.fps)), first = Math.floor(at), share = at - first;
  const a = message.row(first);
  if (share === 0) return a;
  const b = message.row(first + 1);
  return a.map((value, i) => value + share * (b[i] - value));
}

/** Cues of a WebVTT text. */
export function cues(text) {
  const seconds = (clock) => clock.split(":").reduce((sum, part) => 60 * sum + parseFloat(part.replace(",", ".")), 0);
  return text.split(/\n\s*\n/).flatMap((block) => {
    const lines = block.split("\n"), at = lines.findIndex((line) => line.includes("-->"));
    if (at < 0) return [];
    const [start, end] = lines[at].split("-->").map((part) => seconds(part.trim().split(" ")[0]));
    return [{ start, end, text: lines.slice(at + 1).join("\n") }];
  });
}
