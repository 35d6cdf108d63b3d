// One order on stdin, its answer on stdout: the unchanged Node SDK, its host rewritten on the way out.
const plivo = require("plivo");
const axios = require("axios");
const order = JSON.parse(require("fs").readFileSync(0, "utf8"));
const HOST = /^https:\/\/[^/]+/;

// The SDK makes an axios instance of its own per request: it inherits defaults, but no interceptors.
const send = axios.getAdapter("http");
axios.defaults.adapter = (request) => send({ ...request, url: request.url.replace(HOST, order.base) });

const CALL = { friendlyName: "node" };
const ACTIONS = {
  addParticipant: (calls, p) =>
    calls.addParticipant(p.role, {
      ...CALL,
      from: "14155550100",
      to: p.to,
      enterSound: "none",
      exitSound: "none",
      statusCallbackUrl: p.sink,
      statusCallbackMethod: "POST",
    }),
  startRecording: (calls, p) =>
    calls.startRecording({ ...CALL, fileFormat: "wav", recordingCallbackUrl: p.sink }),
  pauseRecording: (calls) => calls.pauseRecording(CALL),
  resumeRecording: (calls) => calls.resumeRecording(CALL),
  stopRecording: (calls) => calls.stopRecording(CALL),
  stop: (calls) => calls.stop(CALL),
};

function judge(one) {
  return [
    plivo.validateSignature(one.url, one.v2Nonce, one.v2, order.token),
    plivo.validateV3Signature(one.method, one.url, one.v3Nonce, order.token, one.v3, one.form),
  ];
}

async function main() {
  if (order.action === "judge") return order.requests.map(judge);
  const client = new plivo.Client(order.id, order.token);
  return ACTIONS[order.action](client.multiPartyCalls, order.parameters);
}

main().then(
  (answer) => process.stdout.write(JSON.stringify(answer ?? null)),
  (error) => {
    process.stderr.write(String((error && error.message) || error) + "\n");
    process.exitCode = 1;
  },
);
