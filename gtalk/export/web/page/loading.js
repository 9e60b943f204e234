// Files over any network: what has come is told, what goes wrong is said in words.

/**
 * `told` hears which share of it has come, 1 at last. Not by fetch: a stream's pieces would each wait for a page that
 * draws slowly, and there are hundreds of them.
 */
export function bytes(url, told = () => {}) {
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest();
    asked.responseType = "arraybuffer";
    asked.onprogress = ({ loaded, total }) => told(total ? Math.min(0.99, loaded / total) : 0);
    asked.onerror = () => reject(new Error(`${url} could not be loaded: no connection`));
    asked.onload = () => {
      const { status, response } = asked;
      if (status < 200 || status > 299) return reject(Object.assign(new Error(`${url} could not be loaded (${status})`), { status }));
      told(1);
      resolve(response);
    };
    asked.open("GET", url);
    asked.send();
  });
}
