<?php
// The operations of tests/interop/README.md with the official PHP SDK, its endpoint unmodified.
// PLIVO_PHP_AUTOLOAD names the vendor/autoload.php of a folder where composer installed it.
// The SDK's methods for multiparty calls throw nothing when refused: they hand over the answer with its "error".
error_reporting(E_ALL & ~E_DEPRECATED);
require getenv("PLIVO_PHP_AUTOLOAD");

use Plivo\Exceptions\PlivoRestException;
use Plivo\RestClient;
use Plivo\Util\signatureValidation;
use Plivo\Util\v3SignatureValidation;

$given = json_decode(getenv("INTEROP"), true);
$client = new RestClient();
$calls = $client->multiPartyCalls;

function call(array $more = []): array
{
    global $given;
    return array_merge(["friendly_name" => $given["name"]], $more);
}

function say(array $line): void
{
    echo json_encode($line, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
    flush();
}

function operation(string $op, callable $action): mixed
{
    try {
        $answer = $action();
    } catch (Throwable $error) {
        say(["op" => $op, "ok" => false, "detail" => substr(get_class($error) . ": " . $error->getMessage(), 0, 500)]);
        return null;
    }
    say(["op" => $op, "ok" => true]);
    return $answer;
}

function expect(mixed $condition, mixed $text): mixed
{
    if (!$condition) {
        throw new RuntimeException(json_encode($text));
    }
    return $condition;
}

/** The answer, if it holds no error. */
function done(?array $answer): array
{
    expect(empty($answer["error"]), $answer);
    return $answer ?? [];
}

function until(callable $condition): mixed
{
    for ($end = microtime(true) + 10; microtime(true) < $end; usleep(100000)) {
        $found = $condition();
        if ($found) {
            return $found;
        }
    }
    throw new RuntimeException("nothing after 10 s");
}

/** A property, or null while what it is of is not there yet. */
function orNothing(callable $get): mixed
{
    try {
        return $get();
    } catch (PlivoRestException) {
        return null;
    }
}

function add(string $role, string $to, array $more = []): array
{
    global $calls, $given;
    $added = done($calls->addParticipant($role, call(array_merge([
        "from" => "14155550100",
        "to" => $to,
        "enter_sound" => "none",
        "exit_sound" => "none",
        "status_callback_url" => $given["sink"] . "/status.xml?b=2&a=1",
        "status_callback_method" => "POST",
    ], $more))));
    expect($added["calls"][0]["call_uuid"] === $added["request_uuid"], $added);
    return $added;
}

function members(array $of): array
{
    global $calls;
    return $calls->listParticipants($of)["objects"] ?? [];
}

function participants(): void
{
    global $calls, $given;
    operation("add participant: agent", fn() => add("agent", $given["agent"]));
    operation("add participant: customer", fn() => add("customer", $given["customer"], ["sip_headers" => "Ticket=42"]));
    operation("add participant: supervisor", fn() => add("supervisor", $given["supervisor"], ["coach_mode" => true]));
    $present = operation("list participants", fn() => until(function () {
        $found = members(call());
        return count($found) === 3 ? $found : null;
    }));
    $ids = array_column($present, "member_id", "role");
    [$agent, $coach] = [$ids["agent"], $ids["supervisor"]];
    operation("get participant", fn() => expect($calls->getParticipant($agent, call())["role"] === "agent", $agent));
    $change = fn(string $who, array $how) => done($calls->updateParticipant($who, call($how)));
    operation("update: mute", fn() => expect(str_contains($change($agent, ["mute" => true])["mute"], "succeeded"), "mute"));
    operation("update: unmute all", fn() => $change("all", ["mute" => false]));
    operation("update: hold", fn() => $change($agent, ["hold" => true]));
    operation("update: unhold", fn() => $change($agent, ["hold" => false]));
    operation("update: coach mode", fn() => $change($coach, ["coach_mode" => false]));
    $mpc = operation("get by name", function () use ($calls) {
        $found = done($calls->get(call()));
        expect($found["status"] === "Active", $found);
        return $found;
    });
    operation("get by uuid", fn() => expect(
        $calls->get(["uuid" => $mpc["mpc_uuid"]])["friendly_name"] === $given["name"], $mpc));
    operation("list", fn() => expect(
        count($calls->list(["friendly_name" => $given["name"], "status" => "active", "limit" => 5])["objects"]) === 1,
        "not one"));
    recordings($agent);
    operation("play", fn() => expect(
        done($calls->startPlayAudio($agent, $given["audio"], call()))["mpcMemberId"] === [$agent], $agent));
    operation("stop play", fn() => done($calls->stopPlayAudio($agent, call())));
    operation("kick", fn() => done($calls->kickParticipant($coach, call())));
}

function recordings(string $agent): void
{
    global $calls, $client, $given;
    $callback = [
        "recording_callback_url" => $given["sink"] . "/recording.xml",
        "recording_callback_method" => "GET",
    ];
    $started = operation("start recording", fn() => done($calls->startRecording(call($callback + ["file_format" => "wav"]))));
    operation("pause recording", fn() => done($calls->pauseRecording(call())));
    operation("resume recording", fn() => done($calls->resumeRecording(call())));
    operation("start participant recording",
        fn() => done($calls->startParticipantRecording($agent, call($callback + ["file_format" => "mp3"]))));
    operation("pause participant recording", fn() => done($calls->pauseParticipantRecording($agent, call())));
    operation("resume participant recording", fn() => done($calls->resumeParticipantRecording($agent, call())));
    operation("stop participant recording", fn() => done($calls->stopParticipantRecording($agent, call())));
    operation("stop recording", fn() => done($calls->stopRecording(call())));
    operation("list recordings",
        fn() => until(fn() => count($client->recordings->list(["mpc_name" => $given["name"]])->get())));
    operation("get recording",
        fn() => until(fn() => orNothing(fn() => $client->recordings->get($started["recording_id"])->recordingUrl)));
}

function activation(): void
{
    global $calls, $given;
    $waiting = ["friendly_name" => $given["name"] . "-waiting"];
    add("agent", $given["waiting"], $waiting + ["start_mpc_on_enter" => false]);
    until(fn() => members($waiting));
    operation("start", fn() => done($calls->start($waiting)));
    operation("start: active", fn() => expect($calls->get($waiting)["status"] === "Active", "not active"));
    operation("stop", fn() => done($calls->stop($waiting)));
}

function errors(): void
{
    global $calls;
    $stranger = new RestClient(getenv("PLIVO_AUTH_ID"), "wrong");
    $refused = fn(array $answer) => expect(is_string($answer["error"] ?? null) && $answer["error"] !== "", $answer);
    $busy = ["friendly_name" => "x", "from" => "no number", "to" => "14155550101"];
    operation("error 400", fn() => $refused($calls->addParticipant("agent", $busy)));
    operation("error 401", fn() => $refused($stranger->multiPartyCalls->get(call())));
    operation("error 404", fn() => $refused($calls->get(["friendly_name" => "nobody"])));
}

function applications(): void
{
    global $client;
    $url = "https://app.example.com/answer";
    $id = operation("create application", fn() => $client->applications->create("interop", ["answer_url" => $url]))->getAppId();
    operation("get application", fn() => expect($client->applications->get($id)->answerUrl === $url, $id));
    operation("update application", fn() => $client->applications->update($id, ["answer_url" => $url . "2"]));
    operation("list applications", fn() => expect(count($client->applications->list()->get()), "none"));
    $made = operation("create endpoint", fn() => $client->endpoints->create("interop", "secret1", "Interop", $id));
    $end = $made->getEndpointId();
    operation("get endpoint", fn() => expect($client->endpoints->get($end)->alias === "Interop", $end));
    operation("update endpoint", fn() => $client->endpoints->update($end, ["alias" => "Changed"]));
    operation("list endpoints", fn() => expect(count($client->endpoints->list()->get()), "none"));
    operation("delete endpoint", fn() => $client->endpoints->delete($end));
    operation("delete application", fn() => $client->applications->delete($id));
}

function singleCall(): void
{
    global $client, $given;
    $answer = $given["sink"] . "/wait.xml";
    $made = operation("create call",
        fn() => $client->calls->create("14155550100", [$given["single"]], $answer, ["answer_method" => "POST"]));
    if (!$made) {
        return;
    }
    $uuid = operation("list live calls", fn() => until(fn() => $client->calls->listLive()[0] ?? null));
    operation("get live call", fn() => expect($client->calls->getLive($uuid)->callUuid === $uuid, $uuid));
    operation("hang up call", fn() => $client->calls->delete($uuid));
    operation("get call", fn() => until(fn() => orNothing(fn() => $client->calls->get($uuid)->callUuid === $uuid)));
}

function xml(): void
{
    global $given;
    $response = new Plivo\XML\Response();
    $response->addMultiPartyCall($given["name"] . "-xml", [
        "role" => "customer",
        "statusCallbackUrl" => $given["sink"] . "/status.xml",
        "enterSound" => "none",
    ]);
    say(["op" => "XML of the SDK", "ask" => "xml", "xml" => $response->toXML()]);
}

function judge(array $one): void
{
    $token = getenv("PLIVO_AUTH_TOKEN");
    $right = v3SignatureValidation::validateV3Signature(
        $one["method"], $one["url"], $one["v3Nonce"], $token, $one["v3"], $one["form"]);
    expect($right, "V3 of {$one['method']} {$one['url']}");
    expect(signatureValidation::validateSignature($one["url"], $one["v2Nonce"], $one["v2"], $token), "V2 of {$one['url']}");
}

function signatures(): void
{
    say(["op" => "signatures of callbacks", "ask" => "callbacks"]);
    $received = json_decode(fgets(STDIN), true);
    operation("signatures of callbacks", function () use ($received) {
        expect($received, "none came");
        array_map(judge(...), $received);
    });
}

say(["sdk" => "PHP", "package" => "plivo/plivo-php", "version" => (string) new Plivo\Version()]);
participants();
activation();
operation("end", fn() => done($calls->stop(call())));
errors();
applications();
singleCall();
xml();
signatures();
