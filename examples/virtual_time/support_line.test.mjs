// A Node application tested in virtual time: `mixminus exec --virtual-time -- node --test examples/virtual_time/`
import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";

const base = process.env.VIRTUAL_TIME_URL;
const account = `/v1/Account/${process.env.PLIVO_AUTH_ID}`;
const login = Buffer.from(`${process.env.PLIVO_AUTH_ID}:${process.env.PLIVO_AUTH_TOKEN}`).toString("base64");

async function ask(method, path, body) {
  const headers = { "content-type": "application/json", authorization: `Basic ${login}` };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text;
}
const control = (path, body = {}) => ask("POST", `/testing/${path}`, body);

test("an hour of a recorded call", async (t) => {
  const events = [];
  const app = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      events.push(new URLSearchParams(body).get("EventName"));
      response.end();
    });
  });
  await new Promise((done) => app.listen(0, "127.0.0.1", done));
  t.after(() => app.closeAllConnections() ?? app.close());
  const url = `http://127.0.0.1:${app.address().port}`;

  for (const role of ["agent", "customer"]) {
    const phone = await control("phones", { name: role });
    await ask("POST", `${account}/MultiPartyCall/name_support/Participant/`, {
      role, from: "14155550100", to: phone.address, enter_sound: "none", exit_sound: "none",
      status_callback_url: `${url}/status`, status_callback_method: "POST",
    });
  }
  await ask("POST", `${account}/MultiPartyCall/name_support/Record/`, {
    file_format: "wav", recording_callback_url: `${url}/recording`, recording_callback_method: "POST",
  });
  await control("phones/customer/says", { tone: 440, seconds: 3 });
  await control("advance", { hours: 1 });
  await ask("DELETE", `${account}/MultiPartyCall/name_support/`);
  await control("until", { event: "MPCRecordingCompleted" });

  assert.ok(events.includes("MPCRecordingCompleted"), events.join());
  assert.equal((await ask("GET", "/testing/phones/agent/heard/customer")).heard, true);
  assert.equal((await ask("GET", "/testing/phones/customer/heard/agent")).heard, false);
  assert.equal((await ask("GET", "/testing/recordings/latest/contains/customer")).heard, true);
  const [recording] = await ask("GET", "/testing/recordings");
  assert.equal(recording.duration, 3600);
});
