"""The shapes of RFC 4475, and hostile ones of our own, as (name, message, what a server answers).

Addresses are ours to keep the answers simple; the shape is what each section of the RFC is about. ``None``: no answer
at all is due. The answer of an INVITE that is accepted begins with 100.
"""

from __future__ import annotations

SDP = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
_BASE = {
    "Via": "SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKt",
    "Max-Forwards": "70",
    "From": "<sip:555@10.0.0.9>;tag=f",
    "To": "<sip:777@10.0.0.2>",
    "Call-ID": "torture",
    "CSeq": "1 INVITE",
    "Contact": "<sip:555@10.0.0.9>",
    "Content-Type": "application/sdp",
}


def message(
    start: str = "INVITE sip:777@10.0.0.2 SIP/2.0", body: str = SDP, extra: str = "", **changed: str | None
) -> bytes:
    """The base INVITE with headers changed; ``None`` leaves one out. Underscores in names are hyphens."""
    method = start.split(" ")[0]
    headers: dict[str, str | None] = {**_BASE, "CSeq": f"1 {method}"}
    if method != "INVITE":
        body = "" if body is SDP else body
        headers["Content-Type"] = None
    headers["Content-Length"] = str(len(body.encode()))
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [start, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    if extra:
        lines.append(extra)
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


OPTIONS = "OPTIONS sip:777@10.0.0.2 SIP/2.0"

WSINV = (
    b"INVITE sip:vivekg@10.0.0.2;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:vivekg@10.0.0.2 ;   tag    = 1918181833n\r\n"
    b'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@10.0.0.9>\r\n  ;\r\n  tag = 98asjd8\r\n'
    b"MaX-fOrWaRdS: 0068\r\n"
    b"Call-ID: wsinv.ndaksdj@10.0.0.9\r\n"
    b"Content-Length   : 0\r\n"
    b"cseq: 0009\r\n  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n /UDP\r\n    10.0.0.9;branch=390skdjuw\r\n"
    b"s :\r\n"
    b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
    b"Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    b'm:"Quoted string \\"\\"" <sip:jdrosen@10.0.0.9> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n'
    b"\r\n"
)

CASES: list[tuple[str, bytes, int | None]] = [
    # 3.1.1 valid
    ("wsinv", WSINV, 481),
    (
        "intmeth",
        message(
            "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
            ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@10.0.0.2 SIP/2.0"
        ),
        501,
    ),
    ("esc01", message("INVITE sip:sips%3Auser%40example.com@10.0.0.2 SIP/2.0"), 100),
    ("escnull", message(OPTIONS, Contact="<sip:%00@10.0.0.9>, <sip:%00%00@10.0.0.9>"), 200),
    ("esc02", message("RE%47IST%45R sip:10.0.0.2 SIP/2.0"), 501),
    ("lwsdisp", message(OPTIONS, From="caller<sip:caller@10.0.0.9>;tag=323"), 200),
    ("longreq", message(extra="\r\n".join(f"Unknown-{'long' * 20}-{n}: {'v' * 200}" for n in range(40))), 100),
    ("dblreq", message(OPTIONS) + message(), 200),
    ("semiuri", message("OPTIONS sip:user;par=u%40example.net@10.0.0.2 SIP/2.0"), 200),
    (
        "transports",
        message(OPTIONS, Via="SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1, SIP/2.0/UNKNOWN a.b;branch=z9hG4bK2"),
        200,
    ),
    ("mpart01", message(Content_Type="multipart/mixed;boundary=x", body="--x\r\n\r\nhi\r\n--x--\r\n"), 415),
    ("unreason", message(OPTIONS, extra="Reason: \u0418\u043c\u044f"), 200),
    ("noreason", message(OPTIONS, extra="Subject:"), 200),
    # 3.1.2 invalid
    ("badinv01", message(Contact='"Joe" <sip:joe@10.0.0.9>;;;;', Via="SIP/2.0/UDP 192.0.2.15;;,;,,"), 100),
    ("clerr", message(Content_Length="9999"), 400),
    ("ncl", message(Content_Length="-999"), 400),
    ("scalar02", message("REGISTER sip:10.0.0.2 SIP/2.0", CSeq="36893488147419103232 REGISTER"), 400),
    ("quotbal", message(To='"Mr. J. User <sip:j.user@10.0.0.2>'), 400),
    ("ltgtruri", message("INVITE <sip:user@10.0.0.2> SIP/2.0"), 400),
    ("lwsruri", message("INVITE sip:user@10.0.0.2; lr SIP/2.0"), 400),
    ("lwsstart", message("INVITE  sip:user@10.0.0.2  SIP/2.0"), 400),
    ("trws", message("OPTIONS sip:remote-target@10.0.0.2 SIP/2.0  "), None),
    ("escruri", message("INVITE sip:user@10.0.0.2?Route=%3Csip:example.com%3E SIP/2.0"), 400),
    ("baddate", message(extra="Date: Fri, 01 Jan 2010 16:00:00 EST"), 100),
    ("regbadct", message("REGISTER sip:10.0.0.2 SIP/2.0", Contact="sip:user@10.0.0.9?Route=%3Csip:x%3E"), 400),
    ("badaspec", message(OPTIONS, To='"Watson, Thomas" < t.watson@example.org >'), 400),
    ("baddn", message(OPTIONS, From="Bell, Alexander <sip:a.g.bell@example.com>;tag=43"), 400),
    ("badvers", message("OPTIONS sip:777@10.0.0.2 SIP/7.0"), 505),
    ("mismatch01", message(OPTIONS, CSeq="8 INVITE"), 400),
    ("mismatch02", message("NEWMETHOD sip:777@10.0.0.2 SIP/2.0", CSeq="8 INVITE"), 400),
    # 3.2 transaction layer, 3.3 application layer
    ("badbranch", message(OPTIONS, Via="SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK"), 200),
    ("insuf", message(Call_ID=None, From=None, To=None, Contact=None, CSeq="193942 INVITE"), 400),
    ("unkscm", message("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"), 416),
    ("novelsc", message("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), 416),
    ("unksm2", message("REGISTER sip:10.0.0.2 SIP/2.0", To="isbn:2983792873"), 401),
    ("bext01", message(OPTIONS, extra="Require: nothingSupportsThis, nothingSupportsThisEither"), 420),
    ("invut", message(Content_Type="application/unknownformat", body="<audio/>"), 415),
    ("multi01", message(extra="Call-ID: other\r\nCSeq: 2 INVITE\r\nFrom: <sip:x@y>;tag=2"), 400),
    ("mcl01", message(OPTIONS, extra="Content-Length: 5"), 400),
    ("zeromf", message(OPTIONS, Max_Forwards="0"), 200),
    ("zeromf-invite", message(Max_Forwards="0"), 483),
    ("cparam01", message(Contact="sip:+19725552222@10.0.0.9;unknownparam"), 100),
    ("cparam02", message(Contact="<sip:+19725552222@10.0.0.9;unknownparam>"), 100),
    ("sdp01", message(extra="Accept: text/nobodyKnowsThis"), 100),
    ("inv2543", message(Via="SIP/2.0/UDP 10.0.0.9", Max_Forwards=None, From="<sip:a@10.0.0.9>"), 100),
    # Hostile
    ("not-utf8", message(extra="Subject: @").replace(b"@\r\n\r\n", b"\xff\xfe\x80\r\n\r\n"), 100),
    ("binary-body", message(OPTIONS, body="\x00\x01\x02", Content_Type="application/octet-stream"), 200),
    ("no-from", message(From=None), 400),
    ("no-to", message(To=None), 400),
    ("no-via", message(Via=None), None),
    ("via-named-self", message(OPTIONS, Via="SIP/2.0/UDP 10.0.0.9;self=1;branch=z9hG4bKs"), 200),
    (
        "ipv6",
        message("OPTIONS sip:777@[2001:db8::1]:5060 SIP/2.0", Via="SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bK6"),
        200,
    ),
    ("underscore-host", message(Contact="<sip:a@my_phone.lan>"), 100),
    ("digit-top-label", message(Contact="<sip:a@host.4you>"), 100),
    ("stun", b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), None),
    ("all-bytes", bytes(range(256)), None),
    ("all-bytes-header", message(OPTIONS).replace(b"777@10.0.0.2>", bytes(range(1, 256))), 400),
    ("empty-line-only", b"\r\n\r\n", None),
    ("response-nobody-asked-for", b"SIP/2.0 200 OK\r\n\r\n", None),
    ("huge-cseq", message(CSeq="2147483648 INVITE"), 400),
    ("huge-content-length", message(Content_Length="9" * 4000), 400),
    ("two-colons", message("OPTIONS sip:777@10.0.0.2:5060:6 SIP/2.0"), 400),
    ("port-out-of-range", message("OPTIONS sip:777@10.0.0.2:99999 SIP/2.0"), 400),
    ("header-without-colon", message(OPTIONS, extra="what is this"), 400),
    ("refer", message("REFER sip:777@10.0.0.2 SIP/2.0", extra="Refer-To: <sip:x@y>"), 405),
    ("100rel", message(extra="Require: 100rel"), 420),
]
