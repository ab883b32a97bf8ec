import JSON
import Synchronization
import TestSupport
import Testing

@testable import leasehold

@Suite struct `Unloading a model server` {
    private static func server(_ scene: Scene) -> String { "http://127.0.0.1:\(scene.port)" }

    @Test func `of Ollama unloads what is loaded, and waits until it is gone`() async throws {
        let loaded = Mutex(["qwen3:8b", "nomic-embed-text:latest"])
        try await withScene { (path, body, count) in
            switch path {
            case "/api/ps":
                // Unloading takes its time.
                if count > 1 { loaded.withLock { $0 = [] } }
                let models = loaded.withLock { $0 }
                return (
                    200, ["models": .array(models.map { .object(["name": .string($0), "size_vram": .integer(5)]) })]
                )
            default: return (200, ["done": .bool(true), "done_reason": .string("unload")])
            }
        } _: { scene in
            let ended = await scene.run(["unload", "ollama", "--server", Self.server(scene)])
            #expect(ended.code == 0, "\(ended.error)")
            let asked = scene.bodies(of: "/api/generate")
            #expect(asked.map { $0.text("model") } == ["qwen3:8b", "nomic-embed-text:latest"])
            #expect(asked.allSatisfy { $0.integer("keep_alive") == 0 })
            #expect(scene.asked.filter { $0 == "/api/ps" }.count >= 3)
        }
    }

    @Test func `of Ollama that does not let go in time is told`() async throws {
        try await withScene { (path, _, _) in
            path == "/api/ps" ? (200, ["models": .array([.object(["name": .string("a")])])]) : (200, [:])
        } _: { scene in
            let ended = await scene.run(
                ["unload", "ollama", "--server", Self.server(scene), "--model", "a"],
                ["LEASEHOLD_RELEASE_WITHIN": "0.2"])
            #expect(ended.code == 1)
            #expect(ended.error.contains("has not given its GPU memory back in time"))
            #expect(scene.bodies(of: "/api/generate").count == 1)
        }
    }

    @Test func `of ComfyUI frees, and interrupts where that is wanted`() async throws {
        try await withScene { (path, _, count) in
            let running: [JSONValue] = count < 2 ? [.array([.integer(1)])] : []
            return (200, path == "/queue" ? ["queue_running": .array(running), "queue_pending": .array([])] : [:])
        } _: { scene in
            let ended = await scene.run(["unload", "comfyui", "--interrupt", "--server", Self.server(scene)])
            #expect(ended.code == 0, "\(ended.error)")
            #expect(scene.asked.prefix(2) == ["/free", "/interrupt"])
            let body = try #require(scene.bodies(of: "/free").first)
            #expect(body.isTrue("unload_models") && body.isTrue("free_memory"))
        }
    }

    @Test func `of vLLM puts it to sleep`() async throws {
        try await withScene { (path, _, count) in
            (200, path == "/is_sleeping" ? ["is_sleeping": .bool(count > 0)] : [:])
        } _: { scene in
            let ended = await scene.run(["unload", "vllm", "--level", "2", "--server", Self.server(scene)])
            #expect(ended.code == 0, "\(ended.error)")
            #expect(scene.asked == ["/sleep", "/is_sleeping", "/is_sleeping"])
        }
    }

    @Test func `that has no such call, or is not there, is told`() async throws {
        try await withScene { (_, _, _) in
            (404, [:])
        } _: { scene in
            let ended = await scene.run(["unload", "vllm", "--server", Self.server(scene)])
            #expect(ended.code == 3)
            #expect(ended.error.contains("POST /sleep?level=1 was answered 404"))
            #expect(await scene.run(["unload", "comfyui", "--server", "http://127.0.0.1:9"]).code == 3)
            #expect(await scene.run(["unload", "ollama", "--server", "ftp://x"]).code == 2)
            #expect(await scene.run(["unload", "gpt"]).code == 2)
        }
    }
}
