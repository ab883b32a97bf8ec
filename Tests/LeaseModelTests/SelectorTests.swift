import LeaseModel
import Testing

@Suite struct `Selectors as text` {
    @Test(arguments: [
        "gpu/any", "gpu/host=n1", "gpu/unit=n1/0", "model-load/host=n1", "gpu/any?vram=24000",
        "gpu/host=n1?vram=24000&type=discrete&label.a=1&label.zone=b-2",
    ])
    func `are read as they are written`(text: String) throws {
        #expect(Selector(parsing: text)?.text == text)
    }

    @Test(arguments: [
        "", "gpu", "gpu/", "tpu/any", "gpu/any?vram", "gpu/any?vram=x", "gpu/any?vram=-1", "gpu/any?speed=3",
        "gpu/any?type=quantum", "gpu/host=", "gpu/host=a b", "gpu/unit=n1", "gpu/any/0", "gpu/any?label.a=b c",
        "GPU/any",
        "gpu/any?label.=x",
    ])
    func `are refused when nobody writes them`(text: String) { #expect(Selector(parsing: text) == nil) }

    @Test func `admit units by kind, place, memory, type and labels`() throws {
        let unit = UnitProperties(
            unit: try UnitID("n1/0"), kind: .gpu, memoryMB: 24_000, deviceType: "discrete", details: "{}")
        for text in ["gpu/any", "gpu/host=n1", "gpu/unit=n1/0", "gpu/any?vram=24000&type=discrete&label.zone=a"] {
            #expect(Selector(parsing: text)?.admits(unit, labels: ["zone": "a", "x": "y"]) == true, "\(text)")
        }
        for text in [
            "model-load/any", "gpu/host=n2", "gpu/unit=n1/1", "gpu/any?vram=24001", "gpu/any?type=cpu",
            "gpu/any?label.zone=b", "gpu/any?label.none=a",
        ] {
            #expect(Selector(parsing: text)?.admits(unit, labels: ["zone": "a"]) == false, "\(text)")
        }
    }

    @Test func `compete where one unit may serve both`() throws {
        func compete(_ a: String, _ b: String) -> Bool? {
            guard let a = Selector(parsing: a), let b = Selector(parsing: b) else { return nil }
            #expect(a.competes(with: b) == b.competes(with: a))
            return a.competes(with: b)
        }
        #expect(compete("gpu/any", "gpu/unit=n1/0") == true)
        #expect(compete("gpu/host=n1", "gpu/unit=n1/0") == true)
        #expect(compete("gpu/host=n1", "gpu/host=n2") == false)
        #expect(compete("gpu/unit=n1/0", "gpu/unit=n1/1") == false)
        #expect(compete("gpu/any", "model-load/any") == false)
    }
}
