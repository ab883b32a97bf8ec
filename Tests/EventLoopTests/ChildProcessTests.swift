import EventLoop
import TestSupport
import Testing

@Suite struct ChildProcessTests {
    @Test func `a child's code and both its outputs come back`() async throws {
        try await withLoop { loop in
            let command = ChildCommand(["sh", "-c", "echo out; echo err >&2; exit 3"])
            let result = try await ChildProcess.run(command, deadline: .seconds(20), on: loop)
            #expect(result.exit == .exited(3))
            #expect(text(result.output) == "out\n")
            #expect(text(result.errorOutput) == "err\n")
            #expect(!result.passedDeadline)
        }
    }

    @Test func `a megabyte goes through a child's input and output`() async throws {
        try await withLoop { loop in
            let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            var command = ChildCommand(["cat"])
            command.input = .bytes(bytes)
            let result = try await ChildProcess.run(command, deadline: .seconds(20), on: loop)
            #expect(result.exit == .exited(0))
            #expect(result.output == bytes)
        }
    }

    @Test func `what goes beyond the limit is dropped and the child goes on`() async throws {
        try await withLoop { loop in
            var command = ChildCommand(["sh", "-c", "head -c 500000 /dev/zero; exit 7"])
            command.output = .collected(limit: 1000)
            let result = try await ChildProcess.run(command, deadline: .seconds(20), on: loop)
            #expect(result.exit == .exited(7))
            #expect(result.output.count == 1000)
        }
    }

    @Test func `a passed deadline kills the child and its whole group`() async throws {
        try await withLoop { loop in
            let command = ChildCommand(["sh", "-c", "sleep 600 & echo $!; wait"])
            let result = try await ChildProcess.run(command, deadline: .seconds(2), on: loop)
            #expect(result.exit == .signalled(9))
            #expect(result.passedDeadline)
            let grandchild = try #require(Int32(text(result.output).trimmingPrefix("\n").prefix { $0.isNumber }))
            try await eventually("the grandchild is gone") { ProcessGroup.startTicks(ofProcess: grandchild) == nil }
        }
    }

    @Test func `a missing program is an error that names it`() async throws {
        try await withLoop { loop in
            let error = await #expect(throws: LoopError.self) {
                try await ChildProcess.run(ChildCommand(["/no/such"]), deadline: .seconds(5), on: loop)
            }
            #expect(error?.description == "start /no/such: No such file or directory")
        }
    }

    @Test func `environment and directory are the child's own`() async throws {
        try await withLoop { loop in
            var command = ChildCommand(["/bin/sh", "-c", "echo $GIVEN $HOME; pwd"])
            command.environment = ["GIVEN": "yes"]
            command.directory = "/usr"
            let result = try await ChildProcess.run(command, deadline: .seconds(20), on: loop)
            #expect(text(result.output) == "yes\n/usr\n")
        }
    }

    @Test func `a signal ends a child that several wait for`() async throws {
        try await withLoop { loop in
            let child = try await loop.run { try ChildProcess.start(ChildCommand(["sleep", "600"]), on: loop) }
            loop.perform { child.signal(.terminate) }
            async let first = child.finish()
            async let second = child.finish()
            #expect(await first.exit == .signalled(15))
            #expect(await second.exit == .signalled(15))
            loop.perform { child.signal(.kill) }
            #expect(await child.finish().exit == .signalled(15))
        }
    }

    @Test func `a child dies with the thread that started it`() async throws {
        let loop = try EventLoop.onOwnThread()
        let processID = try await loop.run {
            var command = ChildCommand(["sleep", "600"])
            command.diesWithParent = .kill
            command.output = .discarded
            command.errorOutput = .discarded
            return try ChildProcess.start(command, on: loop).processID
        }
        try await eventually("setpriv has become sleep") {
            let name = try? Files.read("/proc/\(processID)/comm")
            return name.map { text($0) } == "sleep\n"
        }
        loop.stopAndJoin()
        try await eventually("the child is gone") { ProcessGroup.startTicks(ofProcess: processID) == nil }
    }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
