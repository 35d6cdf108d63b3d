// The operations of tests/interop/README.md with the official Node SDK, its endpoint unmodified.
const plivo = require("plivo");
const readline = require("readline");
const given = JSON.parse(process.env.INTEROP);
// The SDK takes names out of the objects it is given: a fresh one each time.
const call = () => ({ friendlyName: given.name });
const client = new plivo.Client();
const calls = client.multiPartyCalls;

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function operation(op, action) {
  try {
    const answer = await action();
    say({ op, ok: true });
    return answer;
  } catch (error) {
    say({ op, ok: false, detail: String((error && (error.stack || error.message)) || error).slice(0, 500) });
  }
}
function expect(condition, text) {
  if (!condition) throw new Error(String(text));
  return condition;
}
async function until(condition) {
  for (const end = Date.now() + 10000; Date.now() < end; await sleep(100)) {
    const found = await condition();
    if (found) return found;
  }
  throw new Error("nothing after 10 s");
}
async function refused(status, action) {
  try {
    await action();
  } catch (error) {
    return expect(error.status === status && error.message, `${error.status} ${error.message}`);
  }
  throw new Error(`no ${status}`);
}
const orNothing = (promise) => promise.catch(() => null);

async function add(role, to, more = {}) {
  const added = await calls.addParticipant(role, {
    ...call(),
    from: "14155550100",
    to,
    enterSound: "none",
    exitSound: "none",
    statusCallbackUrl: given.sink + "/status.xml",
    statusCallbackMethod: "POST",
    ...more,
  });
  expect(added.calls[0].callUuid === added.requestUuid, JSON.stringify(added));
}

async function participants() {
  await operation("add participant: agent", () => add("agent", given.agent));
  await operation("add participant: customer", () => add("customer", given.customer, { sipHeaders: "Ticket=42" }));
  await operation("add participant: supervisor", () => add("supervisor", given.supervisor, { coachMode: true }));
  const members = await operation("list participants", () =>
    until(async () => {
      const answer = await calls.listParticipants(call());
      const found = answer.objects || Array.from(answer);
      return found.length === 3 && found;
    }),
  );
  const of = (role) => members.find((one) => one.role === role).memberId;
  const [agent, coach] = [of("agent"), of("supervisor")];
  await operation("get participant", async () => expect((await calls.getParticipant(agent, call())).role === "agent", 0));
  await operation("update: mute", async () =>
    expect(/succeeded/.test((await calls.updateParticipant(agent, { ...call(), mute: true })).mute), "mute"),
  );
  await operation("update: unmute all", () => calls.updateParticipant("all", { ...call(), mute: false }));
  await operation("update: hold", () => calls.updateParticipant(agent, { ...call(), hold: true }));
  await operation("update: unhold", () => calls.updateParticipant(agent, { ...call(), hold: false }));
  await operation("update: coach mode", () => calls.updateParticipant(coach, { ...call(), coachMode: false }));
  const mpc = await operation("get by name", async () => {
    const found = await calls.get(call());
    return expect(found.status === "Active", found.status) && found;
  });
  await operation("get by uuid", async () =>
    expect((await calls.get({ uuid: mpc.mpcUuid })).friendlyName === given.name, "name"),
  );
  await operation("list", async () => {
    const found = await calls.list({ friendlyName: given.name, status: "active", limit: 5 });
    expect((found.objects || found).length === 1, "not one");
  });
  await recordings(agent);
  await operation("play", async () => {
    const played = await calls.startPlayAudio(agent, given.audio, call());
    expect(JSON.stringify(played).includes(agent), JSON.stringify(played));
  });
  await operation("stop play", () => calls.stopPlayAudio(agent, call()));
  await operation("kick", () => calls.kickParticipant(coach, call()));
}

async function recordings(agent) {
  const callback = { recordingCallbackUrl: given.sink + "/recording.xml", recordingCallbackMethod: "GET" };
  const started = await operation("start recording", () =>
    calls.startRecording({ ...call(), ...callback, fileFormat: "wav" }),
  );
  await operation("pause recording", () => calls.pauseRecording(call()));
  await operation("resume recording", () => calls.resumeRecording(call()));
  await operation("start participant recording", () =>
    calls.startParticipantRecording(agent, { ...call(), ...callback, fileFormat: "mp3" }),
  );
  await operation("pause participant recording", () => calls.pauseParticipantRecording(agent, call()));
  await operation("resume participant recording", () => calls.resumeParticipantRecording(agent, call()));
  await operation("stop participant recording", () => calls.stopParticipantRecording(agent, call()));
  await operation("stop recording", () => calls.stopRecording(call()));
  await operation("list recordings", () =>
    until(async () => Array.from(await client.recordings.list({ mpcName: given.name })).length),
  );
  await operation("get recording", () =>
    until(async () => {
      const found = await orNothing(client.recordings.get(started.recordingId));
      return found && found.recordingUrl;
    }),
  );
}

async function activation() {
  const waiting = () => ({ friendlyName: given.name + "-waiting" });
  await add("agent", given.waiting, { ...waiting(), startMpcOnEnter: false });
  await until(async () => {
    const answer = await calls.listParticipants(waiting());
    return (answer.objects || Array.from(answer)).length;
  });
  await operation("start", () => calls.start({ ...waiting(), status: "active" }));
  await operation("start: active", async () => expect((await calls.get(waiting())).status === "Active", "not active"));
  await operation("stop", () => calls.stop(waiting()));
}

async function errors() {
  const stranger = new plivo.Client(process.env.PLIVO_AUTH_ID, "wrong");
  const busy = { friendlyName: "x", from: "no number", to: "14155550101" };
  await operation("error 400", () => refused(400, () => calls.addParticipant("agent", busy)));
  await operation("error 401", async () => {
    const error = await stranger.multiPartyCalls.list().then(() => null, (reason) => reason);
    expect(error && (error.name === "AuthenticationError" || error.status === 401), error && error.name);
  });
  await operation("error 404", async () => {
    const error = await calls.get({ friendlyName: "nobody" }).then(() => null, (reason) => reason);
    expect(error && (error.name === "ResourceNotFoundError" || error.status === 404), error && error.name);
  });
}

async function applications() {
  const url = "https://app.example.com/answer";
  const made = await operation("create application", () => client.applications.create("interop", { answerUrl: url }));
  const id = made.appId;
  await operation("get application", async () => expect((await client.applications.get(id)).answerUrl === url, id));
  await operation("update application", () => client.applications.update(id, { answerUrl: url + "2" }));
  await operation("list applications", async () => expect((await client.applications.list()).length, "none"));
  const endpoint = await operation("create endpoint", () => client.endpoints.create("interop", "secret1", "Interop", id));
  const end = endpoint.endpointId;
  await operation("get endpoint", async () => expect((await client.endpoints.get(end)).alias === "Interop", end));
  await operation("update endpoint", () => client.endpoints.update(end, { alias: "Changed" }));
  await operation("list endpoints", async () => expect((await client.endpoints.list()).length, "none"));
  await operation("delete endpoint", () => client.endpoints.delete(end));
  await operation("delete application", () => client.applications.delete(id));
}

async function singleCall() {
  const answer = given.sink + "/wait.xml";
  const made = await operation("create call", () =>
    client.calls.create("14155550100", given.single, answer, { answerMethod: "POST" }),
  );
  if (!made) return;
  const live = await operation("list live calls", () =>
    until(async () => {
      const found = await client.calls.listLiveCalls();
      return found && found[0] ? found[0] : found && found.calls && found.calls[0];
    }),
  );
  const uuid = live.callUuid || live;
  await operation("get live call", () => client.calls.getLiveCall(uuid));
  await operation("hang up call", () => client.calls.hangup(uuid));
  await operation("get call", () => until(async () => orNothing(client.calls.get(uuid))));
}

function xml() {
  const response = plivo.Response();
  response.addMultiPartyCall(given.name + "-xml", {
    role: "customer",
    statusCallbackUrl: given.sink + "/status.xml",
    enterSound: "none",
  });
  say({ op: "XML of the SDK", ask: "xml", xml: response.toXML() });
}

async function signatures() {
  say({ op: "signatures of callbacks", ask: "callbacks" });
  const line = await new Promise((done) => readline.createInterface({ input: process.stdin }).once("line", done));
  const token = process.env.PLIVO_AUTH_TOKEN;
  await operation("signatures of callbacks", () => {
    const received = expect(JSON.parse(line), "none came");
    for (const one of received) {
      const v3 = plivo.validateV3Signature(one.method, one.url, one.v3Nonce, token, one.v3, one.form);
      expect(v3, `V3 of ${one.method} ${one.url}`);
      expect(plivo.validateSignature(one.url, one.v2Nonce, one.v2, token), `V2 of ${one.url}`);
    }
  });
}

async function main() {
  say({ sdk: "Node", package: "plivo", version: require("plivo/package.json").version });
  await participants();
  await activation();
  await operation("end", () => calls.stop(call()));
  await errors();
  await applications();
  await singleCall();
  xml();
  await signatures();
  process.exit(0);
}

main().catch((error) => {
  process.stderr.write(String(error && error.stack) + "\n");
  process.exit(1);
});
