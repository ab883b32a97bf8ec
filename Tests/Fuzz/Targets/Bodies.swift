import JSON
import LeaseModel

@testable import Coordinator

/// A body is refused or reads the same when written; what a lock call may carry can be told by everything that tells of it.
enum Bodies {
    static func look(at bytes: [UInt8]) throws {
        if let value = try? JSONParser.parse(bytes) {
            let written = value.encoded()
            let again = try JSONParser.parse(written)
            try kept(again.encoded() == written, "it reads differently when written")
            try kept(
                try JSONParser.parse(value.encodedPretty()) == again, "it reads differently when written at length")
        } else {
            do throws(JSONError) {
                _ = try JSONParser.parse(bytes)
            } catch {
                try kept((0...bytes.count).contains(error.offset), "the error lies outside: \(error)")
            }
        }
        let command: LockCommand
        do throws(Malformed) {
            let members = try Members(bytes)
            for name in ["token", "id", "why"] { _ = try? members.word(name, limit: 100) }
            command = try LockCommand(members, scope: .pool, longestTTL: Limits.longestTTL)
        } catch {
            return try kept(error.description.utf8.count < 1000, "the refusal is long: \(error)")
        }
        try lookAtWords(command)
    }

    private static func lookAtWords(_ command: LockCommand) throws {
        try kept((1...Limits.holderBytes).contains(command.holder.text.utf8.count), "the id's length")
        try kept(command.metadata.utf8.count <= Limits.metadataBytes, "the metadata's length")
        for text in [command.holder.text, command.requestID ?? "", command.affinity, command.selector.text] {
            try kept(
                !text.unicodeScalars.contains { $0.value < 0x20 || 0x7F..<0xA0 ~= $0.value }, "it steers terminals")
        }
        // As deep as it may stand anywhere: within a list of a status, or an entry of the audit file.
        let event = PoolEvent(
            id: "1-0", kind: .granted, at: 1,
            fields: EventFields([
                .init(name: "holder", value: command.holder.text), .init(name: "metadata", value: command.metadata),
            ]))
        var chain = AuditChain()
        let line = chain.line(EventFeed.document(of: event))
        try kept(AuditLine(line.dropLast())?.isIntact ?? false, "it breaks the audit file")
        if !command.metadata.isEmpty {
            _ = try JSONParser.parse(Array(#"{"leases":[{"metadata":\#(command.metadata)}]}"#.utf8))
        }
    }
}
