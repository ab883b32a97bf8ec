import Foundation
import Telemetry
import Testing

/// What stands in `deploy/` beside the programs and could fall behind them.
@Suite struct `The deployment files` {
    private func text(_ path: String) throws -> String {
        try String(contentsOf: `The floor plan`.root.appendingPathComponent("deploy/" + path), encoding: .utf8)
    }

    /// The metrics that a query names, without what a histogram adds.
    private func metrics(in text: String) -> Set<String> {
        Set(
            text.matches(of: /leasehold_[a-z_]+/).map { match in
                for suffix in ["_bucket", "_sum", "_count"] where match.output.hasSuffix(suffix) {
                    return String(match.output.dropLast(suffix.count))
                }
                return String(match.output)
            })
    }

    @Test(arguments: ["monitoring/alerts.yaml", "monitoring/dashboard.json"])
    func `name only metrics that the programs show`(_ path: String) throws {
        let named = metrics(in: try text(path))
        try #require(named.count > 5)
        #expect(named.subtracting(Catalogue.all.map(\.name)) == [])
    }

    @Test func `have a dashboard whose panels all ask something`() throws {
        let parsed = try JSONSerialization.jsonObject(with: Data(try text("monitoring/dashboard.json").utf8))
        let dashboard = try #require(parsed as? [String: Any])
        #expect(dashboard["uid"] as? String == "leasehold")
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        try #require(panels.count > 5)
        #expect(Set(panels.compactMap { $0["id"] as? Int }).count == panels.count)
        for panel in panels {
            let targets = panel["targets"] as? [[String: Any]] ?? []
            let queries = targets.compactMap { $0["expr"] as? String }
            #expect(!queries.isEmpty && queries.allSatisfy { $0.contains("leasehold_") }, "\(panel["title"] ?? "")")
        }
    }

    @Test(arguments: ["agent", "coordinator"])
    func `set only variables that the programs know`(_ program: String) throws {
        let folder = program == "agent" ? "Agent/AgentOptionTable.swift" : "Coordinator/CoordinatorOptions.swift"
        let source = try String(
            contentsOf: `The floor plan`.root.appendingPathComponent("Sources/" + folder), encoding: .utf8)
        for match in try text("etc/\(program).env").matches(of: /LEASEHOLD_([A-Z_]+)=/) {
            let name = match.1.lowercased().replacing("_", with: "-")
            #expect(source.contains("\"\(name)\""), "\(program).env names \(match.0)")
        }
    }
}
