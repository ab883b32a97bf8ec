#include "CAssets.h"

// `#embed` is C23; this compiler has it in every mode and only warns that older ones have not.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char dashboard_html[] = {
#embed "files/dashboard.html"
};
static const unsigned char dashboard_js[] = {
#embed "files/dashboard.js"
};
static const unsigned char dashboard_css[] = {
#embed "files/dashboard.css"
};
static const unsigned char icon_svg[] = {
#embed "files/favicon.svg"
};
static const unsigned char controller_js[] = {
#embed "files/gpu-controller.js"
};
static const unsigned char controller_types[] = {
#embed "files/gpu-controller.d.ts"
};
static const unsigned char example_js[] = {
#embed "files/examples/example.js"
};
static const unsigned char example_css[] = {
#embed "files/examples/example.css"
};
static const unsigned char console_html[] = {
#embed "files/examples/console.html"
};
static const unsigned char console_js[] = {
#embed "files/examples/console.js"
};
static const unsigned char mic_html[] = {
#embed "files/examples/mic.html"
};
static const unsigned char mic_js[] = {
#embed "files/examples/mic.js"
};
static const unsigned char dreamer_html[] = {
#embed "files/examples/dreamer.html"
};
static const unsigned char dreamer_js[] = {
#embed "files/examples/dreamer.js"
};
static const unsigned char openapi_json[] = {
#embed "files/openapi.json"
};

#define HTML "text/html; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"
#define STYLE "text/css; charset=utf-8"
#define TEXT(literal) {(const unsigned char *)(literal), sizeof(literal) - 1}
#define ASSET(path, type, content) {{TEXT(path), TEXT(type), {content, sizeof(content)}}}

typedef struct {
    const unsigned char *bytes;
    int count;
} Part;

static const struct {
    Part parts[3];
} assets[] = {
    ASSET("/", HTML, dashboard_html),
    ASSET("/dashboard.js", SCRIPT, dashboard_js),
    ASSET("/dashboard.css", STYLE, dashboard_css),
    ASSET("/favicon.svg", "image/svg+xml", icon_svg),
    ASSET("/openapi.json", "application/json", openapi_json),
    ASSET("/gpu-controller.js", SCRIPT, controller_js),
    ASSET("/gpu-controller.d.ts", "text/plain; charset=utf-8", controller_types),
    ASSET("/examples/example.js", SCRIPT, example_js),
    ASSET("/examples/example.css", STYLE, example_css),
    ASSET("/examples/console.html", HTML, console_html),
    ASSET("/examples/console.js", SCRIPT, console_js),
    ASSET("/examples/mic.html", HTML, mic_html),
    ASSET("/examples/mic.js", SCRIPT, mic_js),
    ASSET("/examples/dreamer.html", HTML, dreamer_html),
    ASSET("/examples/dreamer.js", SCRIPT, dreamer_js),
};

int leasehold_asset_count(void) { return sizeof(assets) / sizeof(assets[0]); }

static const Part *part_of(int asset, LeaseholdAssetPart part) {
    if (asset < 0 || asset >= leasehold_asset_count()) return NULL;
    if (part < LeaseholdAssetPath || part > LeaseholdAssetContent) return NULL;
    return &assets[asset].parts[part];
}

int leasehold_asset_size(int asset, LeaseholdAssetPart part) {
    const Part *found = part_of(asset, part);
    return found ? found->count : 0;
}

unsigned char leasehold_asset_byte(int asset, LeaseholdAssetPart part, int offset) {
    const Part *found = part_of(asset, part);
    if (!found || offset < 0 || offset >= found->count) return 0;
    return found->bytes[offset];
}
