import LeaseModel
import Telemetry
import Testing

@testable import Agent

@Suite struct `The options of an agent` {
    @Test func `come from flags, then from variables`() throws {
        let options = try AgentOptions(
            arguments: [
                "--host-id", "h1", "--label=zone=a", "--label", "rack=7", "--lock-delay", "0.5", "--simulate=3",
            ],
            environment: [
                "LEASEHOLD_HOST_ID": "h2", "LEASEHOLD_POOL": "night", "LEASEHOLD_LABEL": "zone=b,fast=yes",
                "LEASEHOLD_INCLUDE_CPU": "1", "LEASEHOLD_LOG_LEVEL": "debug",
                "LEASEHOLD_VERIFY_LISTEN": "127.0.0.1:8090", "STATE_DIRECTORY": "/var/lib/x:/var/lib/y",
            ])
        #expect(options.settings.host.text == "h1")
        #expect(options.settings.pool.text == "night")
        #expect(options.settings.labels == ["zone": "a", "rack": "7", "fast": "yes"])
        #expect(options.settings.lockDelay == .milliseconds(500))
        #expect(options.settings.stateDirectory == "/var/lib/x")
        #expect(options.settings.address == "127.0.0.1:8090")
        #expect(options.devices.includeCPU)
        #expect(options.devices.simulated == 3)
        #expect(options.logLevel == .debug)
        #expect(!options.settings.isFirstJoin)
    }

    @Test func `that make the GPUs begin at once come from no variable`() throws {
        let options = try AgentOptions(arguments: ["--host-id", "h1"], environment: ["LEASEHOLD_FIRST_JOIN": "1"])
        #expect(!options.settings.isFirstJoin)
        #expect(try AgentOptions(arguments: ["--host-id=h1", "--first-join"], environment: [:]).settings.isFirstJoin)
    }

    @Test(arguments: [
        ["--ttl"], ["extra"], ["--host-id"], ["--host-id", "a b"], ["--pool", ""], ["--label", "zone"],
        ["--label", "zone=a b"], ["--simulate", "0"], ["--simulate", "many"], ["--lock-delay", "-1"],
        ["--lock-delay", "nan"], ["--max-ttl", "601"], ["--verify-listen", "8090"], ["--verify-listen", "x:70000"],
        ["--log-level", "loud"], ["--log-format", "xml"], ["--redis", "http://x"], ["--include-cpu=1"],
        ["--state-dir", ""],
    ])
    func `that are wrong are named with what would be right`(_ arguments: [String]) throws {
        let error = #expect(throws: AgentOptions.Invalid.self) {
            try AgentOptions(arguments: ["--host-id=h1"] + arguments, environment: [:])
        }
        let flag = arguments[0].split(separator: "=")[0]
        #expect(error?.description.contains(flag) == true)
    }

    @Test func `that are empty in a variable are not given`() throws {
        let options = try AgentOptions(
            arguments: ["--host-id=h1"], environment: ["LEASEHOLD_SIMULATE": "", "LEASEHOLD_REDIS": ""])
        #expect(options.devices.simulated == nil)
    }

    @Test func `that are wrong in a variable name it`() throws {
        let error = #expect(throws: AgentOptions.Invalid.self) {
            try AgentOptions(arguments: [], environment: ["LEASEHOLD_SIMULATE": "x"])
        }
        #expect(error?.description.contains("LEASEHOLD_SIMULATE") == true)
    }

    @Test func `are all in the help`() {
        for option in AgentOptions.table {
            #expect(AgentOptions.help.contains("\n  \(option.flag)"))
            if let variable = option.variable { #expect(AgentOptions.help.contains("[\(variable)]")) }
        }
    }
}
