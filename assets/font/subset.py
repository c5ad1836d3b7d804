"""Subset DejaVu Sans for heavytail's figures: `python3 subset.py <folder of DejaVuSans*.ttf>`.

Every outline gets one contour without area at x = 0, so that its bounding box begins at the origin:
plotters' `ab_glyph` route places a glyph by its bounding box and would lose the left side bearing.
"""

import sys
from fontTools import subset
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.boundsPen import BoundsPen

REGULAR = ("U+0020-007E,U+00A0-017F,U+0384-03CE,U+03D5,U+1D40,U+2010-2015,U+2018-201E,U+2020-2022,"
           "U+2026,U+2030,U+2032,U+2070-2071,U+2074-208E,U+2090-2094,U+2097-2099,U+2190-2195,"
           "U+2202,U+2206,U+220F,U+2211-2212,U+2216,U+221A,U+221D-221E,U+2229,U+222B,U+2248,"
           "U+2260-2261,U+2264-2265,U+226A-226B,U+2016,U+22C5,U+25A0-25A1,U+25B2-25B3,U+25BC-25BD,"
           "U+25C6-25C7,U+25CB,U+25CF,U+FFFD")
BOLD = ("U+0020-007E,U+00A0-00FF,U+0391-03C9,U+1D40,U+2013-2014,U+2018-201D,U+2022,U+2026,U+2070,"
        "U+2074-2089,U+208A-208E,U+2190-2193,U+2211-2212,U+221D-221E,U+2248,U+2264-2265")


def make(source, target, unicodes):
    options = subset.Options()
    options.hinting = False
    options.layout_features = []
    options.legacy_kern = True
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "FFTM", "MATH"]
    options.name_IDs = ["*"]
    options.notdef_outline = True
    font = subset.load_font(source, options)
    tool = subset.Subsetter(options)
    tool.populate(unicodes=subset.parse_unicodes(unicodes))
    tool.subset(font)
    glyphs = font.getGlyphSet()
    new = {}
    for name in font.getGlyphOrder():
        bounds = BoundsPen(glyphs)
        glyphs[name].draw(bounds)
        if bounds.bounds is None or bounds.bounds[0] <= 0:
            continue
        record = DecomposingRecordingPen(glyphs)
        glyphs[name].draw(record)
        pen = TTGlyphPen(None)
        record.replay(pen)
        # Zero area at x = 0, inside the glyph's own height: the bounding box begins at the origin.
        y = round((bounds.bounds[1] + bounds.bounds[3]) / 2)
        pen.moveTo((0, y))
        pen.lineTo((0, y + 1))
        pen.closePath()
        new[name] = pen.glyph()
    for name, glyph in new.items():
        glyph.recalcBounds(font["glyf"])
        font["glyf"][name] = glyph
        font["hmtx"][name] = (font["hmtx"][name][0], 0)
    font.save(target, reorderTables=True)
    print(target, len(font.getGlyphOrder()))


folder = sys.argv[1]
make(f"{folder}/DejaVuSans.ttf", "DejaVuSans-subset.ttf", REGULAR)
make(f"{folder}/DejaVuSans-Bold.ttf", "DejaVuSans-Bold-subset.ttf", BOLD)
