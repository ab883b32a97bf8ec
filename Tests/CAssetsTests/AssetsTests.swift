import CAssets
import Testing

@Suite struct `The texts in the binary` {
    static func text(_ asset: Int32, _ part: LeaseholdAssetPart) -> String {
        let bytes = (0..<leasehold_asset_size(asset, part)).map { leasehold_asset_byte(asset, part, $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `each has a path of its own, a type and a content`() {
        let assets = 0..<leasehold_asset_count()
        let paths = assets.map { Self.text($0, .path) }
        #expect(Set(paths).count == paths.count)
        #expect(Set(["/", "/dashboard.js", "/gpu-controller.js", "/examples/mic.html"]).isSubset(of: paths))
        for asset in assets {
            #expect(Self.text(asset, .path).hasPrefix("/"))
            #expect(Self.text(asset, .type).contains("/"))
            #expect(!Self.text(asset, .content).isEmpty)
        }
    }

    @Test func `what is not there is empty`() {
        let beyond = leasehold_asset_count()
        #expect(leasehold_asset_size(beyond, .content) == 0)
        #expect(leasehold_asset_size(-1, .path) == 0)
        #expect(leasehold_asset_byte(0, .path, leasehold_asset_size(0, .path)) == 0)
        #expect(leasehold_asset_byte(0, .content, -1) == 0)
    }
}
