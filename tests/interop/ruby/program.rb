# The operations of tests/interop/README.md with the official Ruby SDK, its endpoint unmodified.
#
# Its methods refuse callback and sound URLs that have a port. So callbacks are asked for by the XML document, where
# add_attribute checks nothing, and the sound's URL goes through the client's own request. Its V2 validator drops the
# port of a URL, and judges none here that has one; V3 is judged for all.
require "plivo"
require "json"
include Plivo

GIVEN = JSON.parse(ENV.fetch("INTEROP"))
CLIENT = RestClient.new
CALLS = CLIENT.multipartycalls
$stdout.sync = true

# The SDK writes its defaults into the hash it is given: a fresh one each time.
def call(more = {})
  { friendly_name: GIVEN["name"] }.merge(more)
end

def say(line)
  puts JSON.generate(line)
end

def operation(op)
  answer = yield
  say(op: op, ok: true)
  answer
rescue StandardError => error
  say(op: op, ok: false, detail: "#{error.class}: #{error.message}"[0, 500])
  nil
end

def expect(condition, text)
  raise text.to_s unless condition

  condition
end

def wait_until
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 10
  loop do
    found = yield
    return found if found
    raise "nothing after 10 s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

    sleep 0.1
  end
end

def refused(kind)
  yield
rescue kind => error
  expect(!error.message.empty?, "the error has no text")
else
  raise "no #{kind}"
end

def or_nothing
  yield
rescue Exceptions::ResourceNotFoundError
  nil
end

def add(role, to, more = {})
  asked = { role: role, from: "14155550100", to: to, enter_sound: "none", exit_sound: "none" }
  added = CALLS.add_participant(call(asked.merge(more)))
  expect(added["calls"][0]["call_uuid"] == added["request_uuid"], added)
end

def members(of)
  CALLS.list_participants(of).objects
end

def participants
  operation("add participant: agent") { add("agent", GIVEN["agent"]) }
  operation("add participant: customer") { add("customer", GIVEN["customer"], sip_headers: "Ticket=42") }
  operation("add participant: supervisor") { add("supervisor", GIVEN["supervisor"], coach_mode: true) }
  present = operation("list participants") { wait_until { (found = members(call)).length == 3 && found } }
  agent, coach = %w[agent supervisor].map { |role| present.find { |one| one["role"] == role }["member_id"] }
  one = { member_id: agent }
  operation("get participant") { expect(CALLS.get_participant(call(one))["role"] == "agent", agent) }
  operation("update: mute") do
    expect(CALLS.update_participant(call(member_id: agent, mute: true))["mute"].include?("succeeded"), "mute")
  end
  operation("update: unmute all") { CALLS.update_participant(call(member_id: "all", mute: false)) }
  operation("update: hold") { CALLS.update_participant(call(member_id: agent, hold: true)) }
  operation("update: unhold") { CALLS.update_participant(call(member_id: agent, hold: false)) }
  operation("update: coach mode") { CALLS.update_participant(call(member_id: coach, coach_mode: false)) }
  mpc = operation("get by name") { CALLS.get(call).tap { |found| expect(found.status == "Active", found.status) } }
  operation("get by uuid") { expect(CALLS.get(uuid: mpc.mpc_uuid).friendly_name == GIVEN["name"], mpc.mpc_uuid) }
  operation("list") do
    CALLS.list(friendly_name: GIVEN["name"], status: "active", limit: 5)
    found = CALLS.instance_variable_get(:@_resource_list) # the SDK answers with the interface, which keeps them here
    expect(found.length == 1 && found[0].friendly_name == GIVEN["name"], found)
  end
  recordings(agent)
  sounds(agent)
  operation("kick") { CALLS.kick_participant(call(member_id: coach)) }
end

def recordings(agent)
  started = operation("start recording") { CALLS.start_recording(call(file_format: "wav")) }
  operation("pause recording") { CALLS.pause_recording(call) }
  operation("resume recording") { CALLS.resume_recording(call) }
  one = { member_id: agent }
  operation("start participant recording") { CALLS.start_participant_recording(call(one.merge(file_format: "mp3"))) }
  operation("pause participant recording") { CALLS.pause_participant_recording(call(one)) }
  operation("resume participant recording") { CALLS.resume_participant_recording(call(one)) }
  operation("stop participant recording") { CALLS.stop_participant_recording(call(one)) }
  operation("stop recording") { CALLS.stop_recording(call) }
  operation("list recordings") do
    wait_until { CLIENT.recordings.list(mpc_name: GIVEN["name"])[:objects].any? }
  end
  operation("get recording") do
    wait_until { or_nothing { CLIENT.recordings.get(started["recording_id"]).recording_url } }
  end
end

def sounds(agent)
  path = "/v1/Account/#{CLIENT.auth_id}/MultiPartyCall/name_#{GIVEN['name']}/Member/#{agent}/Play/"
  operation("play") do
    played = CLIENT.send_request(path, "POST", { url: GIVEN["audio"] }, nil, false, is_voice_request: true)
    expect(played["mpcMemberId"] == [agent], played)
  end
  operation("stop play") { CALLS.stop_play_audio(call(member_id: agent)) }
end

def activation
  waiting = -> { { friendly_name: "#{GIVEN['name']}-waiting" } }
  add("agent", GIVEN["waiting"], waiting.call.merge(start_mpc_on_enter: false))
  wait_until { members(waiting.call).any? }
  operation("start") { CALLS.start(waiting.call) }
  operation("start: active") { expect(CALLS.get(waiting.call).status == "Active", "not active") }
  operation("stop") { CALLS.stop(waiting.call) }
end

def errors
  stranger = RestClient.new(ENV.fetch("PLIVO_AUTH_ID"), "wrong")
  operation("error 400") do
    refused(Exceptions::ValidationError) { add("agent", "14155550101", from: "no number", friendly_name: "x") }
  end
  operation("error 401") { refused(Exceptions::AuthenticationError) { stranger.multipartycalls.get(call) } }
  operation("error 404") { refused(Exceptions::ResourceNotFoundError) { CALLS.get(friendly_name: "nobody") } }
end

def applications
  url = "https://app.example.com/answer"
  id = operation("create application") { CLIENT.applications.create("interop", answer_url: url) }.app_id
  operation("get application") { expect(CLIENT.applications.get(id).answer_url == url, id) }
  operation("update application") { CLIENT.applications.update(id, answer_url: "#{url}2") }
  operation("list applications") { expect(CLIENT.applications.list[:objects].any?, "none") }
  made = operation("create endpoint") { CLIENT.endpoints.create("interop", "secret1", "Interop", id) }
  endpoint = made.endpoint_id
  operation("get endpoint") { expect(CLIENT.endpoints.get(endpoint).alias == "Interop", endpoint) }
  operation("update endpoint") { CLIENT.endpoints.update(endpoint, alias: "Changed") }
  operation("list endpoints") { expect(CLIENT.endpoints.list[:objects].any?, "none") }
  operation("delete endpoint") { CLIENT.endpoints.delete(endpoint) }
  operation("delete application") { CLIENT.applications.delete(id) }
end

def single_call
  answer = "#{GIVEN['sink']}/wait.xml"
  made = operation("create call") do
    CLIENT.calls.create("14155550100", [GIVEN["single"]], answer, answer_method: "POST")
  end
  return unless made

  uuid = operation("list live calls") { wait_until { CLIENT.calls.list_live[:calls].first } }
  operation("get live call") { expect(CLIENT.calls.get_live(uuid).call_uuid == uuid, uuid) }
  operation("hang up call") { CLIENT.calls.delete(uuid) }
  operation("get call") { wait_until { or_nothing { CLIENT.calls.get(uuid).call_uuid == uuid } } }
end

def xml
  element = XML::MultiPartyCall.new("#{GIVEN['name']}-xml", role: "customer", enterSound: "none", record: true)
  element.add_attribute("statusCallbackUrl", "#{GIVEN['sink']}/status.xml?b=2&a=1")
  element.add_attribute("statusCallbackMethod", "POST")
  element.add_attribute("recordingCallbackUrl", "#{GIVEN['sink']}/recording.xml")
  element.add_attribute("recordingCallbackMethod", "GET")
  response = XML::Response.new
  response.add(element)
  say(op: "XML of the SDK", ask: "xml", xml: XML::PlivoXML.new(response).to_xml)
end

def judge(one)
  token = ENV.fetch("PLIVO_AUTH_TOKEN")
  # The validator changes the URL that it is given.
  right = Utils.valid_signatureV3?(one["url"].dup, one["v3Nonce"], one["v3"], token, one["method"], one["form"])
  expect(right, "V3 of #{one['method']} #{one['url']}")
  return unless URI.parse(one["url"]).port == 80

  expect(Utils.valid_signature?(one["url"], one["v2Nonce"], one["v2"], token), "V2 of #{one['url']}")
end

def signatures
  say(op: "signatures of callbacks", ask: "callbacks")
  received = JSON.parse($stdin.gets)
  operation("signatures of callbacks") do
    expect(received.any?, "none came")
    received.each { |one| judge(one) }
  end
end

say(sdk: "Ruby", package: "plivo", version: Plivo::VERSION)
participants
activation
operation("end") { CALLS.stop(call) }
errors
applications
single_call
xml
signatures
