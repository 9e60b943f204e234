// Files over any network: what has come is told, what goes wrong is said in words.

/** `told` hears which share of it has come, 1 at last. */
export async function bytes(url, told = () => {}) {
  const broken = () => { throw new Error(`${url} could not be loaded: no connection`); };
  const answer = await fetch(url).catch(broken);
  if (!answer.ok) throw Object.assign(new Error(`${url} could not be loaded (${answer.status})`), { status: answer.status });
  const size = Number(answer.headers.get("content-length")) || Infinity, parts = [], reader = answer.body.getReader();
  for (let got = 0; ; ) {
    const { done, value } = await reader.read().catch(broken);
    if (done) break;
    parts.push(value);
    told(Math.min(0.99, (got += value.length) / size));
  }
  told(1);
  return new Blob(parts).arrayBuffer();
}
