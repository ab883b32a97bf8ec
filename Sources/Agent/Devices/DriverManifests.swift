import EventLoop
import JSON

/// Where the Vulkan loader looks for drivers on Linux, told the same way to everybody who asks a single one.
struct DriverManifests {
    /// Manifests that are asked, at most; a host has a handful.
    static let limit = 64

    /// Files and directories, in the loader's order.
    let places: [String]

    /// The order is that of the loader's document LoaderDriverInterface: variables that name drivers take the place of
    /// the search, save VK_ADD_DRIVER_FILES, which comes before it.
    init(environment: [String: String]) {
        func list(_ name: String) -> [String]? {
            let parts = environment[name]?.split(separator: ":").map(String.init) ?? []
            return parts.isEmpty ? nil : parts
        }
        if let named = list("VK_DRIVER_FILES") ?? list("VK_ICD_FILENAMES") {
            places = named
            return
        }
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
        var roots = list("XDG_CONFIG_HOME") ?? home.map { [$0 + "/.config"] } ?? []
        roots += list("XDG_CONFIG_DIRS") ?? ["/etc/xdg"]
        roots += ["/usr/local/etc", "/etc"]
        roots += list("XDG_DATA_HOME") ?? home.map { [$0 + "/.local/share"] } ?? []
        roots += list("XDG_DATA_DIRS") ?? ["/usr/local/share", "/usr/share"]
        places = (list("VK_ADD_DRIVER_FILES") ?? []) + roots.map { $0 + "/vulkan/icd.d" }
    }

    /// The paths of the manifests, each once. A directory that is missing has none.
    func find() -> [String] {
        var found: [String] = []
        for place in places {
            if Files.isDirectory(place) {
                let names = (try? Files.list(place)) ?? []
                found += names.filter { $0.hasSuffix(".json") }.sorted().map { "\(place)/\($0)" }
            } else if place.hasSuffix(".json") {
                found.append(place)
            }
        }
        var seen: Set<String> = []
        return Array(found.filter { seen.insert($0).inserted }.prefix(Self.limit))
    }

    /// What is wrong with a manifest, said better than the loader would; nil where its driver can be asked.
    static func objection(to path: String) -> DriverReport.Outcome? {
        let bytes: [UInt8]
        do throws(LoopError) {
            bytes = try Files.read(path, limit: 1 << 20)
        } catch {
            return .failed("its manifest cannot be read: \(error.description)")
        }
        guard let driver = (try? JSONParser.parse(bytes))?.object?["ICD"]?.object,
            let library = driver["library_path"]?.string
        else { return .failed("its manifest names no library") }
        if let bits = driver["library_arch"]?.string, bits != "64" {
            return .unusable("it is for programs of \(bits) bits")
        }
        // A bare name is searched like any library: only the loader can tell.
        guard library.contains("/") else { return nil }
        let file = library.hasPrefix("/") ? library : Files.directory(of: path) + "/" + library
        return Files.exists(file) ? nil : .failed("its library \(PlainText.line(file)) is missing")
    }
}
