import Foundation
import Testing

/// What no compiler holds: the walls between folders, and the pairs of files that belong together.
@Suite struct `The floor plan` {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static let plain: Set<String> = ["LeaseModel", "JSON", "Settings", "Telemetry", "EventLoop", "HTTP"]
    static let server = plain.union(["RedisClient", "LeaseStore"])

    /// The longest matching folder decides. The toolchain's own modules are listed where they may be used.
    static let mayImport: [(folder: String, modules: Set<String>)] = [
        ("Agent", server), ("Agent/Decisions", ["LeaseModel"]),
        ("Coordinator", server.union(["CAssets"])), ("Coordinator/Decisions", ["LeaseModel"]),
        (
            "Commands",
            plain.union([
                "Agent", "Coordinator", "GPULease", "LeaseStore", "RedisClient", "VulkanProbe", "Simulation",
                "Benchmarks",
            ])
        ),
        ("LeaseStore", ["LeaseModel", "RedisClient", "JSON"]),
        ("GPULease", ["HTTP", "EventLoop", "JSON", "Telemetry", "Synchronization"]),
        ("HTTP", ["CSystem", "CLLHTTP", "EventLoop", "Telemetry", "Glibc", "Synchronization"]),
        ("RedisClient", ["CSystem", "EventLoop", "Telemetry", "Glibc", "Synchronization"]),
        ("EventLoop", ["CSystem", "Telemetry", "Glibc", "Synchronization"]),
        ("VulkanProbe", ["CVulkan", "LeaseModel", "Glibc"]),
        ("LeaseModel", []), ("JSON", []), ("Settings", []), ("Telemetry", []),
        (
            "Simulation",
            [
                "Agent", "Coordinator", "LeaseModel", "LeaseStore", "RedisClient", "EventLoop", "Settings",
                "Telemetry", "Synchronization",
            ]
        ),
        ("Benchmarks", server.union(["GPULease", "LoadGenerator"])),
        ("LoadGenerator", ["CSystem", "EventLoop", "Glibc"]),
    ]

    static func files(under folder: String, suffix: String) -> [(path: String, text: String)] {
        let base = root.appendingPathComponent(folder)
        guard let walker = FileManager.default.enumerator(atPath: base.path) else { return [] }
        return walker.compactMap { $0 as? String }.filter { $0.hasSuffix(suffix) }.sorted().compactMap { path in
            (try? String(contentsOf: base.appendingPathComponent(path), encoding: .utf8)).map { (path, $0) }
        }
    }

    @Test func `every room imports only what stands below it`() throws {
        let sources = Self.files(under: "Sources", suffix: ".swift")
        try #require(sources.count > 20)
        for (path, text) in sources {
            let rule = Self.mayImport.filter { path.hasPrefix($0.folder + "/") }.max {
                $0.folder.count < $1.folder.count
            }
            let allowed = try #require(rule?.modules, "no rule for \(path)")
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard let at = words.firstIndex(of: "import"),
                    words[..<at].allSatisfy({ $0.hasPrefix("@") || $0 == "package" })
                else { continue }
                let module = String(words[words.count - 1].split(separator: ".")[0])
                #expect(allowed.contains(module), "\(path) imports \(module)")
            }
        }
    }

    @Test func `Foundation stays out of the product`() {
        for (path, text) in Self.files(under: "Sources", suffix: ".swift") {
            #expect(!text.contains("import Foundation"), "\(path) imports Foundation")
        }
    }

    @Test func `every script says what it does, reads and returns, and has a Swift twin`() throws {
        let scripts = Self.files(under: "Sources/LeaseStore/Scripts", suffix: ".lua")
        try #require(scripts.count > 10)
        let twins = Set(Self.files(under: "Sources/LeaseStore/Scripts", suffix: ".swift").map(\.path))
        for (path, text) in scripts {
            let name = String(path.split(separator: "/")[path.split(separator: "/").count - 1].dropLast(4))
            #expect(text.hasPrefix("-- \(name): "), "\(path) does not begin with its name and a sentence")
            guard !path.hasPrefix("Shared/") else { continue }
            #expect(text.contains("\n-- uses: "), "\(path) names no shared pieces")
            #expect(text.contains("\n-- returns {"), "\(path) does not say what it returns")
            #expect(twins.contains(name + ".swift") || name == "Tickets", "\(path) has no twin")
        }
    }

    @Test func `only the store spells a key`() {
        for (path, text) in Self.files(under: "Sources", suffix: ".swift") where path != "LeaseStore/Keys.swift" {
            #expect(!text.contains("\"lh:{"), "\(path) spells a key")
        }
        for (path, text) in Self.files(under: "Sources/LeaseStore/Scripts", suffix: ".lua") {
            let code = text.split(separator: "\n").filter { !$0.hasPrefix("--") }.joined(separator: "\n")
            #expect(!code.contains("lh:"), "\(path) spells a key")
        }
    }

    @Test func `documents do not point at files that are not there`() throws {
        var seen = 0
        for (path, text) in Self.files(under: "", suffix: ".md") where !path.hasPrefix(".") {
            let folder = Self.root.appendingPathComponent(path).deletingLastPathComponent()
            for match in text.matches(of: /\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/) {
                seen += 1
                let target = folder.appendingPathComponent(String(match.1))
                #expect(FileManager.default.fileExists(atPath: target.path), "\(path) points at \(match.1)")
            }
        }
        #expect(seen >= 0)
    }

    @Test func `the README shows the programs as they are`() throws {
        func text(_ path: String) throws -> String {
            try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
        }
        let readme = try text("README.md")
        #expect(readme.contains("```swift\n" + (try text("examples/swift/main.swift")) + "```"))
        // Whoever pastes a line of make finds its target.
        let targets = try text("Makefile").matches(of: /(?m)^([a-z-]+):/).map { String($0.1) }
        for match in readme.matches(of: /(?m)^\$ make ([a-z-]+)/) {
            #expect(targets.contains(String(match.1)), "make \(match.1)")
        }
    }
}
