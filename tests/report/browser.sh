# Sourced by tests of pages: a headless browser, if one is here, and a page with checks put into it.
browser=
for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    command -v $name >/dev/null 2>&1 && browser=$name && break
done

# loads_nothing PAGE
loads_nothing() { [ "$(grep -c 'src="http\|href="http\|url(http\|@import' "$1")" = 0 ]; }

# page_title PAGE CHECKS.js: the title that the checks leave; they come first, so that they hear of every error
page_title() {
    awk -v check="$2" '/^<script>$/ && !done { print; while ((getline line < check) > 0) print line;
        print "</script>\n<script>"; done = 1; next } { print }' "$1" >"$work/checked.html"
    timeout 60 $browser --headless --no-sandbox --disable-gpu --window-size=1300,900 --virtual-time-budget=5000 \
        --dump-dom "file://$work/checked.html" 2>/dev/null | grep -o '<title>[^<]*' | head -n 1 | sed 's/<title>//'
}
