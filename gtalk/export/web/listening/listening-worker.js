// Listens beside the page, so that drawing never waits.
//
//   in   {load: ArrayBuffer} · {begin: id, rate_hz} · {push: Float32Array} · {finish: true} · {cut: true}
//   out  {loaded: header} · {id, rows: [Float32Array], took_ms} · {id, done: true} · {failed: words}

import { Resampler } from "./resample.js";
import { Speaker, readSpeaker } from "./speaker.js";

let file = null, speaker = null, resampler = null, id = 0;

onmessage = async ({ data }) => {
  try {
    if (data.load) {
      file = await readSpeaker(data.load);
      postMessage({ loaded: file.header });
    } else if (data.begin !== undefined) {
      id = data.begin;
      speaker = new Speaker(file, id);
      resampler = new Resampler(data.rate_hz);
    } else if (data.cut) speaker?.cut();
    else if (speaker) told(data);
  } catch (error) {
    postMessage({ failed: error.message });
  }
};

function told({ push, finish }) {
  const begun = performance.now(), rows = push ? speaker.push(resampler.push(push)) : speaker.finish();
  if (rows.length) postMessage({ id, rows, took_ms: performance.now() - begun });
  if (finish) postMessage({ id, done: true });
}
