// The operations of tests/interop/README.md with the official Java SDK, its endpoint unmodified.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.plivo.api.Plivo;
import com.plivo.api.PlivoClient;
import com.plivo.api.exceptions.AuthenticationException;
import com.plivo.api.exceptions.InvalidRequestException;
import com.plivo.api.exceptions.ResourceNotFoundException;
import com.plivo.api.models.application.Application;
import com.plivo.api.models.call.Call;
import com.plivo.api.models.call.LiveCall;
import com.plivo.api.models.endpoint.Endpoint;
import com.plivo.api.models.multipartycall.MultiPartyCall;
import com.plivo.api.models.multipartycall.MultiPartyCallParticipant;
import com.plivo.api.models.multipartycall.MultiPartyCallParticipantAdd;
import com.plivo.api.models.multipartycall.MultiPartyCallUtils;
import com.plivo.api.models.recording.Recording;
import com.plivo.api.util.Utils;
import com.plivo.api.xml.Response;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public class Program {
  interface Action {
    void run() throws Exception;
  }

  interface Question<T> {
    T ask() throws Exception;
  }

  static final ObjectMapper JSON = new ObjectMapper();
  static JsonNode given;
  static String call;

  static String of(String key) {
    return given.get(key).asText();
  }

  static void say(Object... pairs) throws Exception {
    Map<String, Object> line = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) line.put((String) pairs[i], pairs[i + 1]);
    System.out.println(JSON.writeValueAsString(line));
    System.out.flush();
  }

  static void operation(String name, Action action) throws Exception {
    try {
      action.run();
    } catch (Exception | AssertionError error) {
      say("op", name, "ok", false, "detail", String.valueOf(error));
      return;
    }
    say("op", name, "ok", true);
  }

  static void expect(boolean condition, Object text) {
    if (!condition) throw new AssertionError(String.valueOf(text));
  }

  static <T> T until(Question<T> question) throws Exception {
    Exception last = null;
    for (long end = System.currentTimeMillis() + 10_000; System.currentTimeMillis() < end; Thread.sleep(100)) {
      try {
        T found = question.ask();
        if (found != null) return found;
      } catch (ResourceNotFoundException error) {
        last = error;
      }
    }
    throw new IllegalStateException("nothing after 10 s", last);
  }

  static void refused(Class<? extends Exception> kind, Action action) throws Exception {
    try {
      action.run();
    } catch (Exception error) {
      expect(kind.isInstance(error), error);
      return;
    }
    throw new AssertionError("no " + kind.getSimpleName());
  }

  static MultiPartyCallParticipantAdd adding(String name, String role, String to) throws Exception {
    return MultiPartyCall.addParticipant(
            MultiPartyCallUtils.friendlyName(name), role, "14155550100", Collections.singletonList(to))
        .enterSound("none")
        .exitSound("none")
        .statusCallbackUrl(of("sink") + "/status.xml")
        .statusCallbackMethod("POST");
  }

  static List<MultiPartyCallParticipant> members(String id, int count) throws Exception {
    return until(
        () -> {
          List<MultiPartyCallParticipant> found = MultiPartyCall.participantList(id).list().getObjects();
          return found.size() == count ? found : null;
        });
  }

  static void participants() throws Exception {
    String name = of("name");
    operation("add participant: agent", () -> adding(name, "agent", of("agent")).update());
    operation(
        "add participant: customer",
        () ->
            adding(name, "customer", of("customer"))
                .sipHeaders(Collections.singletonMap("Ticket", "42"))
                .update());
    operation(
        "add participant: supervisor", () -> adding(name, "supervisor", of("supervisor")).coachMode(true).update());
    operation("list participants", () -> members(call, 3));
    Map<String, String> ids = new HashMap<>();
    for (MultiPartyCallParticipant one : members(call, 3)) ids.put(one.getRole(), one.getMemberId());
    String agent = ids.get("agent"), coach = ids.get("supervisor");
    operation(
        "get participant",
        () -> expect(MultiPartyCall.participantGetter(call, agent).get().getRole().equals("agent"), agent));
    operation(
        "update: mute",
        () ->
            expect(
                MultiPartyCall.participantUpdater(call, agent).mute(true).update().getMute().contains("succeeded"), 0));
    operation("update: unmute all", () -> MultiPartyCall.participantUpdater(call, "all").mute(false).update());
    operation("update: hold", () -> MultiPartyCall.participantUpdater(call, agent).hold(true).update());
    operation("update: unhold", () -> MultiPartyCall.participantUpdater(call, agent).hold(false).update());
    operation("update: coach mode", () -> MultiPartyCall.participantUpdater(call, coach).coachMode(false).update());
    MultiPartyCall[] found = new MultiPartyCall[1];
    operation(
        "get by name",
        () -> {
          found[0] = MultiPartyCall.getter(call).get();
          expect(found[0].getStatus().equals("Active"), found[0].getStatus());
        });
    operation(
        "get by uuid",
        () ->
            expect(
                MultiPartyCall.getter(MultiPartyCallUtils.mpcUuid(found[0].getMpcUuid()))
                    .get()
                    .getFriendlyName()
                    .equals(name),
                name));
    operation(
        "list",
        () ->
            expect(
                MultiPartyCall.lister().friendlyName(name).status("active").limit(5).list().getObjects().size() == 1,
                "not one"));
    recordings(agent);
    // Its answer's member ids stay null: the SDK looks for them under another name than its own server sends.
    operation("play", () -> MultiPartyCall.startPlayAudio(call, agent).url(of("audio")).update());
    operation("stop play", () -> MultiPartyCall.stopPlayAudio(call, agent).delete());
    operation("kick", () -> MultiPartyCall.participantKicker(call, coach).delete());
  }

  static void recordings(String agent) throws Exception {
    String callback = of("sink") + "/recording.xml";
    String[] id = new String[1];
    operation(
        "start recording",
        () ->
            id[0] =
                MultiPartyCall.recordStarter(call)
                    .fileFormat("wav")
                    .recordingCallbackUrl(callback)
                    .recordingCallbackMethod("GET")
                    .update()
                    .getRecordingId());
    operation("pause recording", () -> MultiPartyCall.recordPause(call).update());
    operation("resume recording", () -> MultiPartyCall.recordResume(call).update());
    operation(
        "start participant recording",
        () -> MultiPartyCall.participantRecordStarter(call, agent).fileFormat("mp3").update());
    operation("pause participant recording", () -> MultiPartyCall.participantRecordPause(call, agent).update());
    operation("resume participant recording", () -> MultiPartyCall.participantRecordResume(call, agent).update());
    operation("stop participant recording", () -> MultiPartyCall.participantRecordStopper(call, agent).delete());
    operation("stop recording", () -> MultiPartyCall.recordStopper(call).delete());
    operation(
        "list recordings",
        () -> until(() -> Recording.lister().mpcName(of("name")).list().getObjects().isEmpty() ? null : true));
    operation("get recording", () -> until(() -> Recording.getter(id[0]).get().getRecordingUrl()));
  }

  static void activation() throws Exception {
    String name = of("name") + "-waiting", id = MultiPartyCallUtils.friendlyName(name);
    adding(name, "agent", of("waiting")).startMpcOnEnter(false).update();
    members(id, 1);
    operation("start", () -> MultiPartyCall.starter(id).update());
    operation(
        "start: active",
        () -> expect(MultiPartyCall.getter(id).get().getStatus().equals("Active"), "not active"));
    operation("stop", () -> MultiPartyCall.stopper(id).delete());
  }

  static void errors() throws Exception {
    operation(
        "error 400",
        () ->
            refused(
                InvalidRequestException.class,
                () -> adding(of("name"), "agent", "no number").update()));
    PlivoClient stranger = new PlivoClient(System.getenv("PLIVO_AUTH_ID"), "wrong");
    operation(
        "error 401",
        () -> refused(AuthenticationException.class, () -> MultiPartyCall.lister().client(stranger).list()));
    operation(
        "error 404",
        () ->
            refused(
                ResourceNotFoundException.class,
                () -> MultiPartyCall.getter(MultiPartyCallUtils.friendlyName("nobody")).get()));
  }

  static void applications() throws Exception {
    String url = "https://app.example.com/answer";
    String[] id = new String[2];
    operation(
        "create application", () -> id[0] = Application.creator("interop").answerUrl(url).create().getAppId());
    operation(
        "get application", () -> expect(Application.getter(id[0]).get().getAnswerUrl().equals(url), id[0]));
    operation("update application", () -> Application.updater(id[0]).answerUrl(url + "2").update());
    operation("list applications", () -> expect(!Application.lister().list().getObjects().isEmpty(), "none"));
    operation(
        "create endpoint",
        () -> id[1] = Endpoint.creator("interop", "secret1", "Interop").appId(id[0]).create().getEndpointId());
    operation("get endpoint", () -> expect(Endpoint.getter(id[1]).get().getAlias().equals("Interop"), id[1]));
    operation("update endpoint", () -> Endpoint.updater(id[1]).alias("Changed").update());
    operation("list endpoints", () -> expect(!Endpoint.lister().list().getObjects().isEmpty(), "none"));
    operation("delete endpoint", () -> Endpoint.deleter(id[1]).delete());
    operation("delete application", () -> Application.deleter(id[0]).delete());
  }

  static void singleCall() throws Exception {
    String[] uuid = new String[1];
    operation(
        "create call",
        () ->
            Call.creator("14155550100", Collections.singletonList(of("single")), of("sink") + "/wait.xml")
                .answerMethod("POST")
                .create());
    operation(
        "list live calls",
        () ->
            uuid[0] =
                until(
                    () -> {
                      List<String> live = LiveCall.listGetter().get().getCalls();
                      return live == null || live.isEmpty() ? null : live.get(0);
                    }));
    if (uuid[0] == null) return;
    operation(
        "get live call", () -> expect(LiveCall.getter(uuid[0]).get().getCallUuid().equals(uuid[0]), uuid[0]));
    operation("hang up call", () -> Call.deleter(uuid[0]).delete());
    operation("get call", () -> until(() -> Call.getter(uuid[0]).get().getCallUuid()));
  }

  static void document() throws Exception {
    String text =
        new Response()
            .children(
                new com.plivo.api.xml.MultiPartyCall(of("name") + "-xml", "customer")
                    .statusCallbackUrl(of("sink") + "/status.xml")
                    .enterSound("none"))
            .toXmlString();
    say("op", "XML of the SDK", "ask", "xml", "xml", text);
  }

  static void signatures() throws Exception {
    say("op", "signatures of callbacks", "ask", "callbacks");
    JsonNode all = JSON.readTree(new BufferedReader(new InputStreamReader(System.in)).readLine());
    String token = System.getenv("PLIVO_AUTH_TOKEN");
    operation(
        "signatures of callbacks",
        () -> {
          expect(all.size() > 0, "none came");
          for (JsonNode one : all) {
            String url = one.get("url").asText(), method = one.get("method").asText();
            Map<String, String> form = new HashMap<>();
            one.get("form").fields().forEachRemaining(item -> form.put(item.getKey(), item.getValue().asText()));
            expect(
                Utils.validateSignatureV3(
                    url, one.get("v3Nonce").asText(), one.get("v3").asText(), token, method, form),
                "V3 of " + method + " " + url);
            expect(
                Utils.validateSignature(url, one.get("v2Nonce").asText(), one.get("v2").asText(), token),
                "V2 of " + url);
          }
        });
  }

  public static void main(String[] words) throws Exception {
    given = JSON.readTree(System.getenv("INTEROP"));
    call = MultiPartyCallUtils.friendlyName(of("name"));
    Plivo.init();
    say("sdk", "Java", "package", "com.plivo:plivo-java", "version", words[0]);
    participants();
    activation();
    operation("end", () -> MultiPartyCall.stopper(call).delete());
    errors();
    applications();
    singleCall();
    document();
    signatures();
    System.exit(0);
  }
}
