// What the component is made of and how it takes part in a page: its elements, what is behind the person, drag, detail.

const SLOW_S = 0.06, OF = 10;  // between pictures: beyond it they are drawn smaller, to LEAST_DETAIL of the size
export const LEAST_DETAIL = 0.5;
export const WORDS = { generated: "AI generated", tap: "Tap for sound", lost: "The picture was lost; it comes back." };
const STYLE = `
:host { display: block; position: relative; overflow: hidden; }
canvas, img { display: block; width: 100%; height: 100%; object-fit: contain; touch-action: pan-y; }
canvas:not([hidden]) + img { position: absolute; inset: 0; pointer-events: none; }
.label, .words, button { position: absolute; font: 12px/1.4 system-ui, sans-serif; color: #fff; background: #0009; border: 0; border-radius: 4px; padding: 2px 8px; }
.label { left: 8px; bottom: 8px; } .words { left: 8px; right: 8px; top: 8px; } button { right: 8px; bottom: 8px; padding: 6px 12px; cursor: pointer; }
[hidden] { display: none; }`;

export const MARKUP = `<style>${STYLE}</style><canvas part="canvas"></canvas><img alt="" hidden>
  <span class="label" part="label">${WORDS.generated}</span><span class="words" role="status" hidden></span>
  <button hidden>${WORDS.tap}</button>`;

/** A browser that cannot keep up, as one without a graphics processor, gets fewer pixels instead of fewer pictures. */
export class Pace {
  detail = 1;
  #last = [];

  /** One more picture, so many seconds after the one before. */
  picture(seconds) {
    if (this.#last.push(seconds) < OF) return;
    const median = this.#last.sort((a, b) => a - b)[OF / 2];
    this.#last = [];
    if (median > SLOW_S) this.detail = Math.max(LEAST_DETAIL, this.detail / Math.SQRT2);
  }
}

/** What the attribute `background` asks for, as the renderer takes it: "plate", null, or red, green, blue. */
export function behind(asked) {
  if (!asked || asked === "plate") return "plate";
  if (asked === "transparent") return null;
  const probe = new OffscreenCanvas(1, 1).getContext("2d");
  probe.fillStyle = asked;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((v) => v / 255);
}

/** The visitor turns the person by dragging over the canvas, where the element has the attribute `orbit`. */
export function turnable(canvas, element, view) {
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (!element.hasAttribute("orbit")) return;
    from = { x: event.clientX, y: event.clientY, ...view() };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from) element.turn(from.yaw - (event.clientX - from.x) / 400, from.pitch + (event.clientY - from.y) / 400, from.distance);
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { from = null; });
}
