import EventLoop
import Glibc
import TestSupport
import Testing

@Suite struct FilesTests {
    @Test func `a replaced file has the new content and no leftovers`() throws {
        try withDirectory { directory in
            let path = "\(directory)/journal"
            try Files.replace(path, with: Array("one".utf8))
            try Files.replace(path, with: Array("two".utf8), durability: .power)
            try Files.append(Array("!".utf8), to: path)
            #expect(text(try Files.read(path)) == "two!")
            #expect(try Files.list(directory) == ["journal"])
        }
    }

    @Test func `what a process that was killed has left is not taken over`() throws {
        try withDirectory { directory in
            let (path, elsewhere) = ("\(directory)/settings", "\(directory)/elsewhere")
            try Files.replace("\(path).new", with: Array("half a text that is longer".utf8), mode: 0o666)
            try Files.replace(path, with: Array("secret".utf8), mode: 0o600)
            #expect(text(try Files.read(path)) == "secret")
            #expect(Files.permissions(path)?.mode == 0o600)
            try Files.replace(elsewhere, with: Array("mine".utf8))
            #expect(symlink(elsewhere, "\(path).new") == 0)
            try Files.replace(path, with: Array("other".utf8))
            #expect(text(try Files.read(path)) == "other")
            #expect(text(try Files.read(elsewhere)) == "mine")
            #expect(try Files.list(directory) == ["elsewhere", "settings"])
        }
    }

    @Test func `permissions are told, and whether they let this process in`() throws {
        try withDirectory { directory in
            let path = "\(directory)/token"
            try Files.replace(path, with: [], mode: 0o600)
            #expect(Files.permissions(path)?.mode == 0o600)
            #expect(Files.isReadableAndWritable(path))
            #expect(Files.permissions("\(directory)/none") == nil)
            #expect(!Files.isReadableAndWritable("\(directory)/none"))
            // A group's rights stand also where the process takes them from its new files.
            let group = try #require(Files.permissions(path)?.group)
            try Files.replace(path, with: [], mode: 0o666, group: group)
            #expect(
                Files.permissions(path).map { "\($0)" }
                    == "(mode: \(0o666), owner: \(Environment.userID), group: \(group))")
        }
    }

    @Test func `a file above the limit is refused`() throws {
        try withDirectory { directory in
            try Files.replace("\(directory)/big", with: [UInt8](repeating: 1, count: 100))
            #expect(throws: LoopError.self) { try Files.read("\(directory)/big", limit: 99) }
        }
    }

    @Test func `missing directories are made and the second time found`() throws {
        try withDirectory { directory in
            let (first, second) = (
                try Files.makeDirectory("\(directory)/a/b/c"), try Files.makeDirectory("\(directory)/a/b/c")
            )
            #expect(first && !second)
            #expect(Files.isDirectory("\(directory)/a/b/c"))
            #expect(throws: LoopError.self) { try Files.makeDirectory("/proc/no/such") }
        }
    }

    @Test func `one at a time holds a file lock`() throws {
        try withDirectory { directory in
            let first = try FileLock.take("\(directory)/lock")
            #expect(first != nil)
            let second = try FileLock.take("\(directory)/lock")
            #expect(second == nil)
            withExtendedLifetime(first) {}
        }
    }

    @Test func `digests are the published ones`() {
        #expect(
            Digest.sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(Digest.sha1Hex(Array("abc".utf8)) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(SecureRandom.randomHex(bytes: 16).count == 32)
        #expect(SecureRandom.bytes(16) != SecureRandom.bytes(16))
        #expect(Digest.equalsInConstantTime([1, 2], [1, 2]) && !Digest.equalsInConstantTime([1, 2], [1, 3]))
    }

    @Test func `the environment tells who and where we are`() throws {
        #expect(!Environment.hostName.isEmpty)
        let boot = try Environment.bootID()
        #expect(boot.count == 36)
        #expect(Environment.get("PATH") == Environment.all["PATH"])
        #expect(Environment.get("LEASEHOLD_SURELY_UNSET") == nil)
        #expect(Environment.raiseFileLimit() > 0)
        #expect(Environment.executablePath?.hasPrefix("/") == true)
    }
}

private func withDirectory(_ body: (String) throws -> Void) throws {
    let directory = "/tmp/lh-\(SecureRandom.randomHex(bytes: 6))"
    try Files.makeDirectory(directory)
    defer { try? Files.removeTree(directory) }
    try body(directory)
}
