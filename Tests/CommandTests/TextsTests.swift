import Foundation
import HTTP
import JSON
import RedisClient
import Testing

@testable import leasehold

/// Everything that this program tells people beside tables and help, as they get to see it.
@Suite struct `Texts of the command line` {
    private static let place = HTTPEndpoint.tcp(host: "localhost", port: 8080, isSecure: false)
    private static let redis = RedisEndpoint(address: .tcp(host: "db", port: 6379))

    private static func answer(_ status: Int, _ body: JSONObject = [:]) -> Service.Answer {
        Service.Answer(status: status, body: body, retryAfter: nil)
    }

    private static func unanswered(_ kind: HTTPError.Kind) -> String {
        Texts.unanswered(HTTPError(kind, "http://localhost:8080 cannot be reached: Connection refused"), place)
    }

    private static func refused(_ answer: Service.Answer, hasToken: Bool = false) -> String {
        Texts.refused(answer, place, hasToken: hasToken)
    }

    /// By the names of the functions; several where one has several forms.
    private static var all: [(name: String, texts: [String])] {
        [
            ("unknownCommand", [Texts.unknownCommand("statsu", "status"), Texts.unknownCommand("x", nil)]),
            ("runsAlone", [Texts.runsAlone("up")]), ("tooManyWords", [Texts.tooManyWords("b", "lock")]),
            ("missing", [Texts.missing("the id of who holds", "lock", "leasehold lock Root-Mic")]),
            ("wrongURL", [Texts.wrongURL("\"x\" is no address of a server; write http://host:port")]),
            ("tokenFileUnreadable", [Texts.tokenFileUnreadable("/t", "open /t: No such file or directory")]),
            ("tokenFileWrong", [Texts.tokenFileWrong("/t")]), ("tokenFileOpen", [Texts.tokenFileOpen("/t")]),
            ("certificateWithoutKey", [Texts.certificateWithoutKey]),
            ("auditUnreadable", [Texts.auditUnreadable("/a", "open /a: Permission denied")]),
            ("auditTorn", [Texts.auditTorn("/a")]), ("auditNoLine", [Texts.auditNoLine]),
            (
                "auditMarker",
                ["begun", "continued", "redis-forgot", "missed", "went-back", "x"].map { Texts.auditMarker($0) }
            ),
            ("auditBroken", [Texts.auditBroken("Entry 3 was changed: its hash is not that of its line.")]),
            ("auditEmpty", [Texts.auditEmpty]),
            ("auditIntact", [Texts.auditIntact(1, 9, "00ff"), Texts.auditIntact(4, 9, "00ff")]),
            ("noLeaseToken", [Texts.noLeaseToken("renew")]), ("noTokenShape", [Texts.noTokenShape("Root-Mic")]),
            (
                "unanswered",
                [.cannotConnect, .timeout, .connectionLost, .tls, .badAnswer, .cancelled, .badAddress].map(unanswered)
            ),
            (
                "refused",
                [
                    refused(answer(401)), refused(answer(401), hasToken: true), refused(answer(403)),
                    refused(answer(404)), refused(answer(500)),
                    refused(answer(400, ["error": .string("bad_request"), "msg": .string("What to do.")])),
                ]
            ),
            ("oddAnswer", [Texts.oddAnswer(place)]), ("noState", [Texts.noState("/proc/x", "mkdir: No such file")]),
            ("upTwice", [Texts.upTwice("/var/lib/leasehold", "4711")]), ("gaveUp", [Texts.gaveUp]),
            ("notHeld", [Texts.notHeld]),
            ("timedOut", [Texts.timedOut(.seconds(120), nil), Texts.timedOut(.zero, nil)]), ("granted", granted),
            ("renewed", [Texts.renewed("n/0#1", left: 118.6)]),
            ("renewalFailing", [Texts.renewalFailing("n/0#1", "No answer.", left: .seconds(9))]),
            ("renewalsFailed", [Texts.renewalsFailed("n/0#1")]), ("lost", [Texts.lost("n/0#1", "Revoked by ops.")]),
            ("notGivenBack", [Texts.notGivenBack("n/0#1", "No answer.")]), ("leftovers", [Texts.leftovers]),
            ("noProgram", [Texts.noProgram("trian")]), ("notExecutable", [Texts.notExecutable("./train.py")]),
            ("cannotStart", [Texts.cannotStart("./train", "start ./train: Exec format error")]),
            ("elsewhere", granted.isEmpty ? [] : [grant.map { Texts.elsewhere($0, "node2") } ?? ""]),
            ("agentNotTold", [Texts.agentNotTold("unix:///a.sock cannot be reached: No such file or directory")]),
            ("agentRefused", [Texts.agentRefused("The lease is not held with this token.")]),
            ("agentEnds", [Texts.agentEnds("preempted")]),
            ("stopping", [Texts.stopping(.seconds(30))]), ("ending", [Texts.ending(.seconds(30))]),
            ("wanted", [Texts.wanted(PreemptWish(holder: "Root-Mic", priority: 0, within: .seconds(30)))]),
            (
                "askedBack",
                [
                    Texts.askedBack(
                        "dreamer", PreemptWish(holder: "Root-Mic", priority: 0, within: .seconds(12)), unit: "node1/0")
                ]
            ), ("wantedNoMore", [Texts.wantedNoMore]),
            ("hookFailed", [Texts.hookFailed("leasehold unload ollama", "exit code 1")]),
            ("noProcess", [Texts.noProcess(4711)]),
            ("adopted", [grant.map { Texts.adopted(4711, $0) } ?? ""]),
            ("notAdopted", [Texts.notAdopted(4711, "It belongs to another user.")]),
            ("adoptedEnded", [Texts.adoptedEnded(4711)]), ("adoptedLost", [Texts.adoptedLost(4711)]),
            ("adoptedLeft", [Texts.adoptedLeft(4711)]), ("unloaded", [Texts.unloaded(place)]),
            ("notUnloaded", [Texts.notUnloaded(place)]),
            ("serverFailed", [Texts.serverFailed("POST /sleep?level=1 was answered 404")]),
            ("cannotAsk", [Texts.cannotAsk]), ("leftAlone", [Texts.leftAlone]), ("noHosts", [Texts.noHosts]),
            ("streamLost", [Texts.streamLost]), ("monitorFoot", [Texts.monitorFoot(.seconds(2), "12:00.")]),
            ("twoScopes", [Texts.twoScopes("host", "unit")]),
            (
                "question",
                [
                    Texts.question(.reset, ["a", "b"], "host node1"), Texts.question(.forceRelease, [], nil),
                ]
            ),
            ("ended", [Texts.ended(["released": .integer(2)])]),
            ("cordoned", [Texts.cordoned("n", isOn: true), Texts.cordoned("n", isOn: false)]),
            (
                "draining",
                [Texts.draining("n", ["a"], left: nil), Texts.draining("n", ["a", "b"], left: .seconds(90))]
            ),
            ("drained", [Texts.drained("n")]), ("drainBegun", [Texts.drainBegun("n", 2)]),
            ("stillDraining", [Texts.stillDraining("n")]), ("drainEnded", [Texts.drainEnded("n")]),
            (
                "verified",
                [
                    Texts.verified("n/0#1", ["current": .bool(true), "holder": .string("a"), "age_ms": .integer(3)]),
                    Texts.verified("n/0#1", ["source": .string("agent")]),
                ]
            ),
            ("checked", [Texts.checked(9, failed: 0), Texts.checked(9, failed: 2)]),
            ("noMessage", [Texts.noMessage]), ("noGPUs", [Texts.noGPUs]), ("noTokens", [Texts.noTokens]),
            ("busy", [Texts.busy]), ("wrongTime", [Texts.wrongTime]), ("staleAccepted", [Texts.staleAccepted]),
            ("currentRefused", [Texts.currentRefused]),
            ("foreignUnlocked", [Texts.foreignUnlocked]),
            ("wrongStatus", [Texts.wrongStatus("GET /health", 500, want: 200)]),
            ("wrongMember", [Texts.wrongMember("locked", want: "true or false")]),
            ("degraded", [Texts.degraded(nil), Texts.degraded("no connection to Redis")]),
            ("unregistered", [Texts.unregistered]), ("noLoader", [Texts.noLoader]),
            ("noManifests", [Texts.noManifests]), ("noDevices", [Texts.noDevices]),
            ("noClockSource", [Texts.noClockSource]), ("portTaken", [Texts.portTaken(place)]),
            ("notReady", [Texts.notReady(place, nil), Texts.notReady(place, "No Redis.")]),
            ("noServiceHere", [Texts.noServiceHere(place)]),
            ("noRedis", [Texts.noRedis(redis, "Connection refused")]), ("noAgent", [Texts.noAgent("/a.sock")]),
            ("oddAgent", [Texts.oddAgent("/a.sock")]), ("skipped", [Texts.skipped(["/i.json: it crashed"])]),
            ("onlySoftware", [Texts.onlySoftware("llvmpipe")]),
            ("noNodes", [Texts.noNodes(inContainer: true), Texts.noNodes(inContainer: false)]),
            ("closedNode", [Texts.closedNode("/dev/dri/renderD128", group: "render")]),
            ("noGraphics", [Texts.noGraphics(""), Texts.noGraphics("compute,utility")]),
            ("clockStepped", [Texts.clockStepped(.seconds(-2))]), ("coarseClock", [Texts.coarseClock("jiffies")]),
            ("slowClock", [Texts.slowClock("hpet")]),
        ]
    }

    private static var grant: Grant? { Grant(Sample.granted("train"), sentAt: .zero) }
    private static var granted: [String] {
        grant.map {
            Texts.granted($0, left: .seconds(118), isHeld: false) + Texts.granted($0, left: .seconds(9), isHeld: true)
        }
            ?? []
    }

    @Test func `this list is complete`() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/Commands/leasehold/Texts.swift")
        let names = try String(contentsOf: file, encoding: .utf8).matches(of: /static (?:let|func) (\w+)/).map {
            String($0.1)
        }
        #expect(names.filter { $0 != "visible" && $0 != "quoted" } == Self.all.map(\.name))
    }

    @Test func `each reads as a sentence and leads on`() {
        for (name, texts) in Self.all {
            #expect(!texts.isEmpty, "\(name)")
            for text in texts {
                #expect(!text.isEmpty && text.count <= 320, "\(name): \(text)")
                #expect(!text.contains("Optional(") && !text.contains(".."), "\(name): \(text)")
                // What is indented is for copying; so is what follows a colon.
                let mayEndFreely = [
                    "granted", "question", "tokenFileOpen", "noTokenShape", "missing", "notExecutable",
                    "notReady", "closedNode", "noGraphics", "drained", "stillDraining",
                ]
                #expect(mayEndFreely.contains(name) || text.hasSuffix(".") || text.hasSuffix("?"), "\(name): \(text)")
            }
        }
    }

    @Test func `those that are met most say what to do`() {
        #expect(
            Self.unanswered(.cannotConnect)
                == "http://localhost:8080 cannot be reached: Connection refused. Is a coordinator running there? "
                + "Start one with leasehold up, or name another with --url.")
        #expect(
            Self.refused(Self.answer(401))
                == "The service wants a token. Set LEASEHOLD_TOKEN, or name a file with --token-file.")
        #expect(
            Self.granted.prefix(5) == [
                "Granted node1/0 to train after 12ms; lease node1/0#1764000000000000.",
                "  CUDA_VISIBLE_DEVICES=GPU-1234",
                "It stands for 1m 58s from now unless it is renewed. With the token in LEASEHOLD_LEASE_TOKEN:",
                "  leasehold renew     for another 2m 00s", "  leasehold unlock    to give it back",
            ])
    }
}
