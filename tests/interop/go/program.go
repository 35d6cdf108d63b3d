// The operations of tests/interop/README.md with the official Go SDK, its endpoint unmodified.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/plivo/plivo-go/v7"
	"github.com/plivo/plivo-go/v7/xml"
)

type gift struct {
	Name, Agent, Customer, Supervisor, Waiting, Single, Sink, Audio string
}

type received struct {
	Method, URL, V2, V2Nonce, V3, V3Nonce string
	Form                                  map[string]string
}

var (
	given  gift
	client *plivo.Client
	call   plivo.MultiPartyCallBasicParams
)

func say(line map[string]any) {
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

func operation(name string, action func() error) {
	if err := action(); err != nil {
		say(map[string]any{"op": name, "ok": false, "detail": err.Error()})
		return
	}
	say(map[string]any{"op": name, "ok": true})
}

func expect(condition bool, text any) error {
	if condition {
		return nil
	}
	return fmt.Errorf("unexpected: %v", text)
}

func until(condition func() bool) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if condition() {
			return nil
		}
	}
	return errors.New("nothing after 10 s")
}

func refused(part string, action func() error) error {
	err := action()
	if err == nil {
		return errors.New("no error")
	}
	return expect(strings.Contains(err.Error(), part), err)
}

func add(role, to string, params plivo.MultiPartyCallAddParticipantParams, to_call plivo.MultiPartyCallBasicParams) error {
	params.Role, params.From, params.To = role, "14155550100", to
	params.EnterSound, params.ExitSound = "none", "none"
	params.StatusCallbackUrl, params.StatusCallbackMethod = given.Sink+"/status.xml", "POST"
	answer, err := client.MultiPartyCall.AddParticipant(to_call, params)
	if err != nil {
		return err
	}
	return expect(len(answer.Calls) == 1 && answer.Calls[0].CallUuid == answer.RequestUuid, answer)
}

func members(of plivo.MultiPartyCallBasicParams) []*plivo.MultiPartyCallParticipant {
	answer, err := client.MultiPartyCall.ListParticipants(of, plivo.MultiPartyCallListParticipantParams{})
	if err != nil {
		return nil
	}
	return answer.Objects
}

func member(id string) plivo.MultiPartyCallParticipantParams {
	return plivo.MultiPartyCallParticipantParams{FriendlyName: given.Name, ParticipantId: id}
}

func participants() {
	var params plivo.MultiPartyCallAddParticipantParams
	operation("add participant: agent", func() error { return add("agent", given.Agent, params, call) })
	params.SipHeaders = "Ticket=42"
	operation("add participant: customer", func() error { return add("customer", given.Customer, params, call) })
	params = plivo.MultiPartyCallAddParticipantParams{CoachMode: true}
	operation("add participant: supervisor", func() error { return add("supervisor", given.Supervisor, params, call) })
	operation("list participants", func() error { return until(func() bool { return len(members(call)) == 3 }) })
	ids := map[string]string{}
	for _, one := range members(call) {
		ids[one.Role] = one.MemberId
	}
	service, agent, coach := client.MultiPartyCall, member(ids["agent"]), member(ids["supervisor"])
	yes, no := true, false
	operation("get participant", func() error {
		answer, err := service.GetParticipant(agent)
		return errors.Join(err, expect(answer.Role == "agent", answer))
	})
	update := func(name string, who plivo.MultiPartyCallParticipantParams, params plivo.MultiPartyCallUpdateParticipantParams) {
		operation("update: "+name, func() error { _, err := service.UpdateParticipant(who, params); return err })
	}
	update("mute", agent, plivo.MultiPartyCallUpdateParticipantParams{Mute: &yes})
	update("unmute all", member("all"), plivo.MultiPartyCallUpdateParticipantParams{Mute: &no})
	update("hold", agent, plivo.MultiPartyCallUpdateParticipantParams{Hold: &yes})
	update("unhold", agent, plivo.MultiPartyCallUpdateParticipantParams{Hold: &no})
	update("coach mode", coach, plivo.MultiPartyCallUpdateParticipantParams{CoachMode: &no})
	uuid := ""
	operation("get by name", func() error {
		answer, err := service.Get(call)
		uuid = answer.MpcUuid
		return errors.Join(err, expect(answer.Status == "Active", answer))
	})
	operation("get by uuid", func() error {
		answer, err := service.Get(plivo.MultiPartyCallBasicParams{MpcUuid: uuid})
		return errors.Join(err, expect(answer.FriendlyName == given.Name, answer))
	})
	operation("list", func() error {
		answer, err := service.List(plivo.MultiPartyCallListParams{FriendlyName: given.Name, Status: "active", Limit: 5})
		return errors.Join(err, expect(len(answer.Objects) == 1 && answer.Meta.TotalCount == 1, answer))
	})
	recordings(agent)
	operation("play", func() error {
		answer, err := service.StartPlayAudio(agent, plivo.MultiPartyCallAudioParams{Url: given.Audio})
		return errors.Join(err, expect(strings.Contains(fmt.Sprint(answer), agent.ParticipantId), answer))
	})
	operation("stop play", func() error { return service.StopPlayAudio(agent) })
	operation("speak", func() error {
		_, err := service.StartSpeak(agent, plivo.MultiPartyCallSpeakParams{Text: "hello there"})
		return err
	})
	operation("stop speak", func() error { return service.StopSpeak(agent) })
	operation("kick", func() error { return service.KickParticipant(coach) })
}

func recordings(agent plivo.MultiPartyCallParticipantParams) {
	service, id := client.MultiPartyCall, ""
	params := plivo.MultiPartyCallStartRecordingParams{
		FileFormat: "wav", RecordingCallbackUrl: given.Sink + "/recording.xml", RecordingCallbackMethod: "GET",
	}
	operation("start recording", func() error {
		answer, err := service.StartRecording(call, params)
		id = answer.RecordingId
		return err
	})
	operation("pause recording", func() error { return service.PauseRecording(call) })
	operation("resume recording", func() error { return service.ResumeRecording(call) })
	params.FileFormat = "mp3"
	operation("start participant recording", func() error {
		_, err := service.StartParticipantRecording(agent, params)
		return err
	})
	operation("pause participant recording", func() error { return service.PauseParticipantRecording(agent) })
	operation("resume participant recording", func() error { return service.ResumeParticipantRecording(agent) })
	operation("stop participant recording", func() error { return service.StopParticipantRecording(agent) })
	operation("stop recording", func() error { return service.StopRecording(call) })
	operation("list recordings", func() error {
		return until(func() bool {
			answer, err := client.Recordings.List(plivo.RecordingListParams{MpcName: given.Name})
			return err == nil && len(answer.Objects) > 0
		})
	})
	operation("get recording", func() error {
		return until(func() bool {
			answer, err := client.Recordings.Get(id)
			return err == nil && answer.RecordingURL != ""
		})
	})
}

func activation() {
	waiting, no := plivo.MultiPartyCallBasicParams{FriendlyName: given.Name + "-waiting"}, false
	operation("start", func() error {
		err := add("agent", given.Waiting, plivo.MultiPartyCallAddParticipantParams{StartMpcOnEnter: &no}, waiting)
		return errors.Join(err, until(func() bool { return len(members(waiting)) > 0 }), client.MultiPartyCall.Start(waiting))
	})
	operation("start: active", func() error {
		answer, err := client.MultiPartyCall.Get(waiting)
		return errors.Join(err, expect(answer.Status == "Active", answer))
	})
	operation("stop", func() error { return client.MultiPartyCall.Stop(waiting) })
}

func mistakes() {
	operation("error 400", func() error {
		return refused("max_participants", func() error {
			return add("agent", "14155550101", plivo.MultiPartyCallAddParticipantParams{MaxParticipants: 1}, call)
		})
	})
	operation("error 401", func() error {
		stranger, _ := plivo.NewClient(client.AuthId, "wrong", &plivo.ClientOptions{})
		return refused("auth", func() error { _, err := stranger.MultiPartyCall.List(plivo.MultiPartyCallListParams{}); return err })
	})
	operation("error 404", func() error {
		return refused("no ", func() error {
			_, err := client.MultiPartyCall.Get(plivo.MultiPartyCallBasicParams{FriendlyName: "nobody"})
			return err
		})
	})
}

func applications() {
	url, id := "https://app.example.com/answer", ""
	operation("create application", func() error {
		answer, err := client.Applications.Create(plivo.ApplicationCreateParams{AppName: "interop", AnswerURL: url})
		id = answer.AppID
		return err
	})
	operation("get application", func() error {
		answer, err := client.Applications.Get(id)
		return errors.Join(err, expect(answer.AnswerURL == url, answer))
	})
	operation("update application", func() error {
		_, err := client.Applications.Update(id, plivo.ApplicationUpdateParams{AnswerURL: url + "2"})
		return err
	})
	operation("list applications", func() error {
		answer, err := client.Applications.List(plivo.ApplicationListParams{})
		return errors.Join(err, expect(len(answer.Objects) > 0, answer))
	})
	end := ""
	operation("create endpoint", func() error {
		answer, err := client.Endpoints.Create(
			plivo.EndpointCreateParams{Username: "interop", Password: "secret1", Alias: "Interop", AppID: id},
		)
		end = answer.EndpointID
		return err
	})
	operation("get endpoint", func() error {
		answer, err := client.Endpoints.Get(end)
		return errors.Join(err, expect(answer.Alias == "Interop", answer))
	})
	operation("update endpoint", func() error {
		_, err := client.Endpoints.Update(end, plivo.EndpointUpdateParams{Alias: "Changed"})
		return err
	})
	operation("list endpoints", func() error {
		answer, err := client.Endpoints.List(plivo.EndpointListParams{})
		return errors.Join(err, expect(len(answer.Objects) > 0, answer))
	})
	operation("delete endpoint", func() error { return client.Endpoints.Delete(end) })
	operation("delete application", func() error { return client.Applications.Delete(id) })
}

func singleCall() {
	uuid := ""
	operation("create call", func() error {
		_, err := client.Calls.Create(plivo.CallCreateParams{
			From: "14155550100", To: given.Single, AnswerURL: given.Sink + "/wait.xml", AnswerMethod: "POST",
		})
		return err
	})
	operation("list live calls", func() error {
		return until(func() bool {
			answer, err := client.LiveCalls.IDList()
			if err != nil || len(answer.Calls) == 0 {
				return false
			}
			uuid = answer.Calls[0]
			return true
		})
	})
	if uuid == "" {
		return
	}
	operation("get live call", func() error {
		answer, err := client.LiveCalls.Get(uuid)
		return errors.Join(err, expect(answer.CallUUID == uuid, answer))
	})
	operation("hang up call", func() error { return client.Calls.Delete(uuid) })
	operation("get call", func() error {
		return until(func() bool { answer, err := client.Calls.Get(uuid); return err == nil && answer.CallUUID == uuid })
	})
}

func document() {
	element := xml.MultiPartyCallElement{}.SetContents(given.Name + "-xml").SetRole("customer").
		SetStatusCallbackUrl(given.Sink + "/status.xml").SetEnterSound("none")
	text := xml.ResponseElement{Contents: []interface{}{element}}.String()
	say(map[string]any{"op": "XML of the SDK", "ask": "xml", "xml": text})
}

func signatures() {
	say(map[string]any{"op": "signatures of callbacks", "ask": "callbacks"})
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<24)
	input.Scan()
	token := os.Getenv("PLIVO_AUTH_TOKEN")
	operation("signatures of callbacks", func() error {
		var all []received
		if err := json.Unmarshal(input.Bytes(), &all); err != nil {
			return err
		}
		for _, one := range all {
			if !plivo.ValidateSignatureV3(one.URL, one.V3Nonce, one.Method, one.V3, token, one.Form) {
				return fmt.Errorf("V3 of %s %s", one.Method, one.URL)
			}
			if !plivo.ValidateSignatureV2(one.URL, one.V2Nonce, one.V2, token) {
				return fmt.Errorf("V2 of %s", one.URL)
			}
		}
		return expect(len(all) > 0, "none came")
	})
}

func version() string {
	build, _ := debug.ReadBuildInfo()
	for _, one := range build.Deps {
		if strings.Contains(one.Path, "plivo-go") {
			return strings.TrimPrefix(one.Version, "v")
		}
	}
	return "unknown"
}

func main() {
	if err := json.Unmarshal([]byte(os.Getenv("INTEROP")), &given); err != nil {
		panic(err)
	}
	var err error
	if client, err = plivo.NewClient("", "", &plivo.ClientOptions{}); err != nil {
		panic(err)
	}
	call = plivo.MultiPartyCallBasicParams{FriendlyName: given.Name}
	say(map[string]any{"sdk": "Go", "package": "github.com/plivo/plivo-go/v7", "version": version()})
	participants()
	activation()
	operation("end", func() error { return client.MultiPartyCall.Stop(call) })
	mistakes()
	applications()
	singleCall()
	document()
	signatures()
}
