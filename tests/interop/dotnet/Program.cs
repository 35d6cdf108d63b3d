// The operations of tests/interop/README.md with the official .NET SDK, its endpoint unmodified.
// The SDK does not heed HTTPS_PROXY: a proxy is used only if PlivoApi is given one.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;
using Plivo;
using Plivo.Exception;
using Plivo.Resource.MultiPartyCall;
using Plivo.Utilities;

public static class Program
{
    private const string From = "14155550100";
    private static readonly string Id = Environment.GetEnvironmentVariable("PLIVO_AUTH_ID");
    private static readonly string Token = Environment.GetEnvironmentVariable("PLIVO_AUTH_TOKEN");
    private static readonly JObject Given = JObject.Parse(Environment.GetEnvironmentVariable("INTEROP"));
    private static readonly string Name = Of("name");
    private static readonly PlivoApi Api = Connect(Token);
    private static readonly MultiPartyCallInterface Calls = Api.MultiPartyCall;

    private static PlivoApi Connect(string token)
    {
        Uri proxy = new Uri(Environment.GetEnvironmentVariable("HTTPS_PROXY"));
        return new PlivoApi(Id, token, proxy.Scheme + "://" + proxy.Host, proxy.Port.ToString());
    }

    private static string Of(string key)
    {
        return (string)Given[key];
    }

    private static void Say(object line)
    {
        // The SDK makes indented JSON the default.
        Console.WriteLine(JsonConvert.SerializeObject(line, Formatting.None));
        Console.Out.Flush();
    }

    private static T Operation<T>(string op, Func<T> action) where T : class
    {
        try
        {
            T answer = action();
            Say(new { op, ok = true });
            return answer;
        }
        catch (Exception error)
        {
            string detail = error.GetType().Name + ": " + error.Message;
            Say(new { op, ok = false, detail = detail.Substring(0, Math.Min(500, detail.Length)) });
            return null;
        }
    }

    private static string Expect(bool condition, object text)
    {
        if (!condition)
        {
            throw new InvalidOperationException(Convert.ToString(text));
        }
        return "";
    }

    private static T Until<T>(Func<T> condition) where T : class
    {
        for (Stopwatch since = Stopwatch.StartNew(); since.Elapsed.TotalSeconds < 10; Thread.Sleep(100))
        {
            T found = condition();
            if (found != null)
            {
                return found;
            }
        }
        throw new TimeoutException("nothing after 10 s");
    }

    private static string Refused<T>(Action action) where T : Exception
    {
        try
        {
            action();
        }
        catch (T error)
        {
            return Expect(error.Message.Length > 0, "the error has no text");
        }
        throw new InvalidOperationException("no " + typeof(T).Name);
    }

    private static T OrNothing<T>(Func<T> get) where T : class
    {
        try
        {
            return get();
        }
        catch (PlivoNotFoundException)
        {
            return null;
        }
    }

    private static string Add(
        string role, string to, string name = null, string sipHeaders = null, bool startMpcOnEnter = true)
    {
        MultiPartyCallAddParticipantResponse added = Calls.AddParticipant(
            role: role,
            friendlyName: name ?? Name,
            from: From,
            to: to,
            sipHeaders: sipHeaders,
            startMpcOnEnter: startMpcOnEnter,
            enterSound: "none",
            exitSound: "none",
            statusCallbackUrl: Of("sink") + "/status.xml?b=2&a=1",
            statusCallbackMethod: "POST");
        return Expect(added.Calls[0].CallUuid == added.RequestUuid, added);
    }

    private static List<MultiPartyCallParticipant> Members(string name, int count)
    {
        List<MultiPartyCallParticipant> found = Calls.ListParticipants(friendlyName: name).Objects;
        return found.Count == count ? found : null;
    }

    private static void Participants()
    {
        Operation("add participant: agent", () => Add("agent", Of("agent")));
        Operation("add participant: customer", () => Add("customer", Of("customer"), sipHeaders: "Ticket=42"));
        Operation("add participant: supervisor", () => Add("supervisor", Of("supervisor")));
        var present = Operation("list participants", () => Until(() => Members(Name, 3)));
        string agent = present.First(one => one.Role == "agent").MemberId;
        string coach = present.First(one => one.Role == "supervisor").MemberId;
        Operation("get participant", () => Expect(Calls.GetParticipant(agent, friendlyName: Name).Role == "agent", agent));
        Operation("update: mute", () => Expect(
            Calls.UpdateParticipant(agent, friendlyName: Name, mute: true).Mute.Contains("succeeded"), "mute"));
        Operation("update: unmute all", () => Calls.UpdateParticipant("all", friendlyName: Name, mute: false));
        Operation("update: hold", () => Calls.UpdateParticipant(agent, friendlyName: Name, hold: true));
        Operation("update: unhold", () => Calls.UpdateParticipant(agent, friendlyName: Name, hold: false));
        Operation("update: coach mode", () => Calls.UpdateParticipant(coach, friendlyName: Name, coachMode: false));
        var mpc = Operation("get by name", () =>
        {
            MultiPartyCall found = Calls.Get(friendlyName: Name);
            Expect(found.Status == "Active", found);
            return found;
        });
        Operation("get by uuid", () => Expect(Calls.Get(mpcUuid: mpc.MpcUuid).FriendlyName == Name, mpc));
        Operation("list", () => Expect(
            Calls.List(friendlyName: Name, status: "active", limit: 5).Objects.Count == 1, "not one"));
        Recordings(agent);
        Operation("play", () => Expect(
            Calls.StartPlayAudio(agent, friendlyName: Name, url: Of("audio")).MpcMemberId.Contains(agent), agent));
        Operation("stop play", () => Calls.StopPlayAudio(agent, friendlyName: Name));
        Operation("kick", () => Calls.KickParticipant(coach, friendlyName: Name));
    }

    private static void Recordings(string agent)
    {
        string callback = Of("sink") + "/recording.xml";
        var started = Operation("start recording", () => Calls.StartRecording(
            friendlyName: Name, fileFormat: "wav", recordingCallbackUrl: callback, recordingCallbackMethod: "GET"));
        Operation("pause recording", () => Calls.PauseRecording(friendlyName: Name));
        Operation("resume recording", () => Calls.ResumeRecording(friendlyName: Name));
        Operation("start participant recording", () => Calls.StartParticipantRecording(
            agent, friendlyName: Name, fileFormat: "mp3", recordingCallbackUrl: callback, recordingCallbackMethod: "GET"));
        Operation("pause participant recording", () => Calls.PauseParticipantRecording(agent, friendlyName: Name));
        Operation("resume participant recording", () => Calls.ResumeParticipantRecording(agent, friendlyName: Name));
        Operation("stop participant recording", () => Calls.StopParticipantRecording(agent, friendlyName: Name));
        Operation("stop recording", () => Calls.StopRecording(friendlyName: Name));
        Operation("list recordings", () => Until(
            () => Api.Recording.List(mpcName: Name).Objects.FirstOrDefault()));
        Operation("get recording", () => Until(
            () => OrNothing(() => Api.Recording.Get(started.RecordingId).RecordingUrl)));
    }

    private static void Activation()
    {
        string waiting = Name + "-waiting";
        Operation("start", () =>
        {
            Add("agent", Of("waiting"), waiting, startMpcOnEnter: false);
            Until(() => Members(waiting, 1));
            return Calls.Start(friendlyName: waiting);
        });
        Operation("start: active", () => Expect(Calls.Get(friendlyName: waiting).Status == "Active", "not active"));
        Operation("stop", () => Calls.Stop(friendlyName: waiting));
    }

    private static void Errors()
    {
        PlivoApi stranger = Connect("wrong");
        Operation("error 400", () => Refused<PlivoValidationException>(
            () => Calls.AddParticipant("agent", friendlyName: "x", from: "no number", to: "14155550101")));
        Operation("error 401", () => Refused<PlivoAuthenticationException>(
            () => stranger.MultiPartyCall.Get(friendlyName: Name)));
        Operation("error 404", () => Refused<PlivoNotFoundException>(() => Calls.Get(friendlyName: "nobody")));
    }

    private static void Applications()
    {
        const string url = "https://app.example.com/answer";
        string id = Operation("create application", () => Api.Application.Create("interop", answerUrl: url)).AppId;
        Operation("get application", () => Expect(Api.Application.Get(id).AnswerUrl == url, id));
        Operation("update application", () => Api.Application.Update(id, answerUrl: url + "2"));
        Operation("list applications", () => Expect(Api.Application.List().Objects.Count > 0, "none"));
        var made = Operation("create endpoint", () => Api.Endpoint.Create("interop", "secret1", "Interop", id));
        string end = made.EndpointId;
        Operation("get endpoint", () => Expect(Api.Endpoint.Get(end).Alias == "Interop", end));
        Operation("update endpoint", () => Api.Endpoint.Update(end, alias: "Changed"));
        Operation("list endpoints", () => Expect(Api.Endpoint.List().Objects.Count > 0, "none"));
        Operation("delete endpoint", () => Api.Endpoint.Delete(end));
        Operation("delete application", () => Api.Application.Delete(id));
    }

    private static void SingleCall()
    {
        var made = Operation("create call", () => Api.Call.Create(
            From, new List<string> { Of("single") }, Of("sink") + "/wait.xml", "POST"));
        if (made == null)
        {
            return;
        }
        string uuid = Operation("list live calls", () => Until(() => Api.Call.ListLive().Calls.FirstOrDefault()));
        Operation("get live call", () => Expect(Api.Call.GetLive(uuid).CallUuid == uuid, uuid));
        Operation("hang up call", () => Api.Call.Delete(uuid));
        Operation("get call", () => Until(() => OrNothing(() => Api.Call.Get(uuid).CallUuid)));
    }

    private static void Document()
    {
        var response = new Plivo.XML.Response();
        response.AddMultiPartyCall(Name + "-xml", new Dictionary<string, string>
        {
            { "role", "customer" },
            { "statusCallbackUrl", Of("sink") + "/status.xml" },
            { "enterSound", "none" },
        });
        Say(new { op = "XML of the SDK", ask = "xml", xml = response.ToString() });
    }

    private static void Judge(JToken one)
    {
        string method = (string)one["method"], url = (string)one["url"];
        var form = one["form"].ToObject<Dictionary<string, string>>();
        Expect(
            XPlivoSignatureV3.VerifySignature(url, (string)one["v3Nonce"], (string)one["v3"], Token, method, form),
            "V3 of " + method + " " + url);
        Expect(
            XPlivoSignatureV2.VerifySignature(url, (string)one["v2Nonce"], (string)one["v2"], Token), "V2 of " + url);
    }

    private static void Signatures()
    {
        Say(new { op = "signatures of callbacks", ask = "callbacks" });
        JArray received = JArray.Parse(Console.In.ReadLine());
        Operation("signatures of callbacks", () =>
        {
            Expect(received.Count > 0, "none came");
            foreach (JToken one in received)
            {
                Judge(one);
            }
            return "";
        });
    }

    public static void Main()
    {
        System.Version version = typeof(PlivoApi).Assembly.GetName().Version;
        Say(new { sdk = ".NET", package = "Plivo", version = version.ToString(3) });
        Participants();
        Activation();
        Operation("end", () => Calls.Stop(friendlyName: Name));
        Errors();
        Applications();
        SingleCall();
        Document();
        Signatures();
    }
}
