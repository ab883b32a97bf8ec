import LeaseModel
import Testing

@testable import Coordinator

@Suite struct `A lock call's body` {
    private func command(_ body: String, scope: Scope = .pool, longestTTL: Duration = Limits.longestTTL) throws
        -> LockCommand
    {
        try LockCommand(Members(Array(body.utf8)), scope: scope, longestTTL: longestTTL)
    }

    private func refusal(_ body: String) -> String {
        do {
            _ = try command(body)
            return "taken"
        } catch {
            return "\(error)"
        }
    }

    @Test func `of an old client has what the original assumed`() throws {
        let command = try command(#"{"id":"Root-Mic"}"#)
        #expect(command.holder.text == "Root-Mic")
        #expect(command.priority == .voice)
        #expect(command.timeout == .seconds(120) && command.ttl == .seconds(120))
        #expect(command.requestID == nil && !command.takesOver && command.metadata.isEmpty)
        #expect(command.grace == .seconds(30))
        #expect(command.affinity.isEmpty)
        #expect(command.selector == .anyGPU && !command.namesItsPlace)
    }

    @Test func `may say everything`() throws {
        let command = try command(
            #"""
            {"id":"train","priority":7,"timeout":0,"ttl":0.25,"request_id":"r1","kind":"gpu","host":"n1",
             "min_vram_mb":24000,"device_type":"discrete","labels":{"zone":"a"},"takeover":true,
             "metadata":{"b":[1,2.5,"x\u001f"],"a":null},"grace":2.5,"pool":"default","count":1,"affinity":"model:qwen"}
            """#)
        #expect(command.priority.value == 7 && command.affinity == "model:qwen")
        #expect(command.timeout == .zero && command.ttl == .milliseconds(250))
        #expect(command.requestID == "r1" && command.takesOver && command.namesItsPlace)
        #expect(command.selector.text == "gpu/host=n1?vram=24000&type=discrete&label.zone=a")
        #expect(command.metadata == #"{"b":[1,2.5,"x\u001f"],"a":null}"#)
        #expect(command.grace == .milliseconds(2500))
        #expect(command.metadata.utf8.allSatisfy { $0 >= 0x20 }, "fields of messages are apart by control characters")
    }

    @Test func `may ask for several units of a host`() throws {
        #expect(try command(#"{"id":"a","count":3,"min_vram_mb":8000}"#).selector.text == "gpu/any?count=3&vram=8000")
        let wide = try command(#"{"id":"a","count":64,"host":"n1"}"#).selector
        #expect(wide.count == 64 && Selector(parsing: wide.text) == wide)
        #expect(refusal(#"{"id":"a","count":0}"#) == #""count": got 0, want a whole number from 1 to 64"#)
        #expect(refusal(#"{"id":"a","count":65}"#) == #""count": got 65, want a whole number from 1 to 64"#)
        #expect(refusal(#"{"id":"a","count":2,"unit":"n1/0"}"#).contains("name its host"))
        #expect(refusal(#"{"id":"a","count":2,"preempt":true}"#).contains("leave one of the two out"))
    }

    @Test func `names a place by host, unit or the coordinator's scope`() throws {
        #expect(try command(#"{"id":"a"}"#, scope: .host(HostID("n1"))).selector.text == "gpu/host=n1")
        #expect(try command(#"{"id":"a","host":"n2"}"#, scope: .host(HostID("n1"))).selector.text == "gpu/host=n2")
        #expect(try command(#"{"id":"a","unit":"n2/3","host":"n2"}"#).selector.text == "gpu/unit=n2/3")
        #expect(try command(#"{"id":"a","unit":"n2/model-load"}"#).selector.text == "model-load/unit=n2/model-load")
        #expect(try command(#"{"id":"a","kind":"model-load","host":"n2"}"#).selector.text == "model-load/host=n2")
        #expect(
            refusal(#"{"id":"a","unit":"n2/3","host":"n1"}"#)
                == #""unit": got "n2/3", want one of host "n1", which the call names."#)
        #expect(
            refusal(#"{"id":"a","unit":"n2/3","kind":"model-load"}"#)
                == #""kind": got "model-load", but the unit n2/3 is of kind gpu."#)
    }

    @Test func `holds times to what the pool allows`() throws {
        #expect(try command(#"{"id":"a"}"#, longestTTL: .seconds(30)).ttl == .seconds(30))
        #expect(refusal(#"{"id":"a","ttl":600.0004}"#) == #""ttl": got 600.0004, want 0.1 to 600 seconds"#)
        #expect(try command(#"{"id":"a","ttl":600}"#).ttl == .seconds(600))
        #expect(try command(#"{"id":"a","ttl":0.1}"#).ttl == .milliseconds(100))
        #expect(try command(#"{"id":"a","timeout":3600}"#).timeout == .seconds(3600))
        #expect(try command(#"{"id":"a","priority":100.0}"#).priority.value == 100)
    }

    @Test func `shows what came without its control characters, and not too much of it`() {
        #expect(
            refusal(#"{"id":"a","ttl":"\u202e\u0007x"}"#) == #""ttl": got "\#u{FFFD}\u0007x", want 0.1 to 600 seconds"#)
        let long = refusal(#"{"id":"a","ttl":"\#(String(repeating: "x", count: 5000))"}"#)
        #expect(long.count < 120 && long.contains("…"))
    }

    @Test func `counts a null as missing and reads what is there`() throws {
        let members = try Members(Array(#"{"a":null,"b":true,"c":3,"d":"x","e":{"k":"v"}}"#.utf8))
        #expect(!members.has("a") && members.has("b") && !members.has("z"))
        #expect(try members.text("a") == nil)
        #expect(try members.text("d") == "x")
        #expect(try members.flag("b") == true)
        #expect(try members.integer("c", in: 1...3) == 3)
        #expect(try members.texts("e") == ["k": "v"])
        #expect(try members.texts("a") == [:])
        #expect(throws: Malformed.self) { try members.texts("b") }
        #expect(throws: Malformed.self) { try members.integer("c", in: 4...5) }
        #expect(throws: Malformed.self) { try members.compact("e", limit: 3, depth: 16) }
        #expect(try Members([]).has("a") == false)
    }
}
