import LeaseStore
import RedisClient

/// The pool's own scripts, each between `Before.lua` and `After.lua`, so that the real text runs by a virtual clock.
struct VirtualScripts: Sendable {
    private let wrapped: [String: RedisScript]
    let keep: RedisScript

    /// - Parameter edits: What a mutant changes; each text it replaces must stand in its script exactly once.
    init(edits: [ScriptEdit] = []) throws(MutantError) {
        var wrapped: [String: RedisScript] = [:]
        var met = edits.map { _ in false }
        for script in ScriptLibrary.all {
            var text = String(decoding: script.source, as: UTF8.self)
            for (index, edit) in edits.enumerated() where edit.script == nil || edit.script == script.name {
                let places = text.ranges(of: edit.find)
                guard places.count < 2 else { throw MutantError.ambiguous(edit, in: script.name) }
                guard let place = places.first else { continue }
                text.replaceSubrange(place, with: edit.replace)
                met[index] = true
            }
            let source = PackageResources.Before_lua + Array(text.utf8) + PackageResources.After_lua
            wrapped[script.name] = RedisScript(name: script.name, source: source)
        }
        if let missing = met.firstIndex(of: false) { throw MutantError.notFound(edits[missing]) }
        self.wrapped = wrapped
        keep = RedisScript(name: "Keep", source: PackageResources.Keep_lua)
    }

    func wrapped(_ script: RedisScript) -> RedisScript {
        guard let found = wrapped[script.name] else { preconditionFailure("no script \(script.name) in the library") }
        return found
    }
}

/// A piece of a script's text and what a mutant puts in its place. A nil `script` means a shared piece: all that use it.
struct ScriptEdit: Sendable {
    var script: String?
    var find: String
    var replace: String
}

/// Why a mutant cannot be made: the scripts have changed under it.
package enum MutantError: Error, CustomStringConvertible {
    case notFound(find: String)
    case ambiguous(find: String, script: String)

    static func notFound(_ edit: ScriptEdit) -> MutantError { .notFound(find: edit.find) }
    static func ambiguous(_ edit: ScriptEdit, in script: String) -> MutantError {
        .ambiguous(find: edit.find, script: script)
    }

    package var description: String {
        switch self {
        case .notFound(let find): "no script has the text that the mutant replaces: \(find)"
        case .ambiguous(let find, let script): "\(script).lua has this more than once: \(find)"
        }
    }
}
