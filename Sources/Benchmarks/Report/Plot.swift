import LoadGenerator

/// Curves on two logarithmic axes.
struct Plot: Sendable {
    struct Point: Sendable { var x, y: Double }
    struct Series: Sendable {
        var name: String
        var points: [Point]
    }

    var title: String
    var x: String
    var y: String
    var series: [Series] = []

    init(title: String, x: String, y: String) {
        self.title = title
        self.x = x
        self.y = y
    }

    private static let colours = [
        "#0b6bcb", "#8a8f98", "#d9480f", "#2b8a3e", "#9c36b5", "#c92a2a", "#e67700", "#087f5b", "#5c4033",
    ]
    private static let (left, top, width, height) = (70.0, 40.0, 480.0, 300.0)

    /// A picture that needs nothing but itself, readable on light and dark pages.
    var svg: String {
        let points = series.flatMap(\.points)
        let (lowX, highX) = Self.decades(points.map(\.x))
        let (lowY, highY) = Self.decades(points.map(\.y))
        func across(_ value: Double) -> Double {
            Self.left + (Logarithm.ten(value) - Double(lowX)) / Double(highX - lowX) * Self.width
        }
        func down(_ value: Double) -> Double {
            Self.top + Self.height - (Logarithm.ten(value) - Double(lowY)) / Double(highY - lowY) * Self.height
        }
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 400" font-family="sans-serif" font-size="12">
            <rect width="760" height="400" fill="#ffffff"/>
            <text x="70" y="22" font-size="14" fill="#202124">\(title)</text>

            """
        for decade in lowX...highX {
            let at = across(Logarithm.power(decade))
            text += Self.line(at, Self.top, at, Self.top + Self.height)
            text += Self.label(at, Self.top + Self.height + 18, "middle", Self.name(decade))
        }
        for decade in lowY...highY {
            let at = down(Logarithm.power(decade))
            text += Self.line(Self.left, at, Self.left + Self.width, at)
            text += Self.label(Self.left - 6, at + 4, "end", Self.name(decade))
        }
        text += Self.label(Self.left + Self.width / 2, Self.top + Self.height + 40, "middle", x)
        text +=
            "<text transform=\"translate(18 190) rotate(-90)\" text-anchor=\"middle\" fill=\"#5f6368\">\(y)</text>\n"
        for (index, series) in series.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            let places = series.points.map { "\(rounded(across($0.x), 1)),\(rounded(down($0.y), 1))" }
            text +=
                "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\" points=\"\(places.joined(separator: " "))\"/>\n"
            for point in series.points {
                text +=
                    "<circle cx=\"\(rounded(across(point.x), 1))\" cy=\"\(rounded(down(point.y), 1))\" r=\"3\" fill=\"\(colour)\"/>\n"
            }
            let row = Self.top + 10 + 20 * Double(index)
            text += "<rect x=\"565\" y=\"\(row - 6)\" width=\"14\" height=\"4\" fill=\"\(colour)\"/>\n"
            text += "<text x=\"585\" y=\"\(row)\" fill=\"#202124\">\(series.name)</text>\n"
        }
        return text + "</svg>\n"
    }

    private static func decades(_ values: [Double]) -> (Int, Int) {
        let low = Int(Logarithm.ten(values.min() ?? 1).rounded(.down))
        return (low, max(low + 1, Int(Logarithm.ten(values.max() ?? 10).rounded(.up))))
    }

    private static func name(_ decade: Int) -> String {
        decade >= 0 ? rounded(Logarithm.power(decade), 0) : rounded(Logarithm.power(decade), -decade)
    }

    private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        "<line x1=\"\(rounded(x1, 1))\" y1=\"\(rounded(y1, 1))\" x2=\"\(rounded(x2, 1))\" y2=\"\(rounded(y2, 1))\" stroke=\"#dadce0\"/>\n"
    }

    private static func label(_ x: Double, _ y: Double, _ anchor: String, _ text: String) -> String {
        "<text x=\"\(rounded(x, 1))\" y=\"\(rounded(y, 1))\" text-anchor=\"\(anchor)\" fill=\"#5f6368\">\(text)</text>\n"
    }
}
