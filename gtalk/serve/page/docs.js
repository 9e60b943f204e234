// Shows openapi.json to people.

const make = (tag, text, ...children) => { const out = document.createElement(tag); if (text) out.textContent = text; out.append(...children); return out; };
const at = (id) => document.getElementById(id), api = await (await fetch("openapi.json")).json(), root = new URL(".", location.href).href.replace(/\/$/, "");

at("about").textContent = api.info.description;
at("tour").textContent = `curl ${root}/v1/avatars
curl ${root}/v1/avatars/NAME/dubs -H 'Content-Type: application/json' -d '{"text": "[smile] Hello!", "voice": "en-us"}'
curl -N ${root}/v1/jobs/ID/events
curl ${root}/v1/jobs/ID/result -o hello.mp4`;

for (const [path, operations] of Object.entries(api.paths))
  for (const [method, { summary, requestBody }] of Object.entries(operations)) {
    const takes = Object.keys(requestBody?.content ?? {}).join(", ");
    const head = make("h2", "", make("b", method.toUpperCase()), make("code", path));
    at("paths").append(make("section", "", head, make("div", summary), ...(takes ? [make("div", `takes ${takes}`)] : [])));
  }

at("dub").append(make("tr", "", make("th", "name"), make("th", "value"), make("th", "what")));
for (const [name, { type, enum: words, minimum, maximum, default: usual, description = "" }] of Object.entries(api.components.schemas.Dub.properties)) {
  const range = words ? words.join(", ") : `${type ?? ""}${minimum === undefined ? "" : ` ${minimum} to ${maximum}`}`;
  const told = usual === undefined || usual === "" ? range : `${range}; ${JSON.stringify(usual)} by default`;
  at("dub").append(make("tr", "", make("td", "", make("code", name)), make("td", told), make("td", description)));
}
