/**
 * @file What an image says about itself: how it was made, and that it was made by a machine.
 * The mark is IPTC's DigitalSourceType in XMP, which EU AI Act article 50 and image hosts read; `parameters` is the line
 * that viewers made for A1111's web UI show; `referee` is the exact block that repeats the image.
 */
import { canonicalJson } from './ids.ts';

/** https://cv.iptc.org/newscodes/digitalsourcetype: created by a model trained on sampled content. */
export const DIGITAL_SOURCE_TYPE = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia';

export interface Provenance {
  readonly prompt: string;
  readonly negative?: string;
  readonly seed: number;
  readonly method: string;
  readonly width: number;
  readonly height: number;
  readonly item: string;
  readonly pack: { readonly name: string; readonly digest: string };
  /** Every option, resolved. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Of referee. */
  readonly version: string;
}

/** Text of an image by keyword, in the order in which a PNG carries it. Deterministic: no clock, no host. */
export function provenanceText(provenance: Provenance): Record<string, string> {
  return {
    'XML:com.adobe.xmp': xmpPacket(provenance),
    parameters: parametersText(provenance),
    referee: canonicalJson({ v: 1, ...provenance }),
  };
}

function parametersText({
  prompt,
  negative,
  seed,
  method,
  width,
  height,
  pack,
  settings,
  version,
}: Provenance): string {
  const { steps, guidance } = settings;
  const fields = [
    ['Steps', steps],
    ['Sampler', `referee ${method}`],
    ['CFG scale', guidance],
    ['Seed', seed],
    ['Size', `${width}x${height}`],
    ['Model hash', pack.digest.slice(0, 10)],
    ['Model', pack.name],
    ['Version', `referee ${version}`],
  ].flatMap(([name, value]) =>
    typeof value === 'string' || typeof value === 'number' ? [`${String(name)}: ${value}`] : [],
  );
  const lines = [prompt, ...(negative === undefined || negative === '' ? [] : [`Negative prompt: ${negative}`])];
  return [...lines, fields.join(', ')].join('\n');
}

/** XMP, ISO 16684-1: the packet that PNG carries under `XML:com.adobe.xmp` and WebP in its `XMP ` chunk. */
export function xmpPacket({ prompt, version }: Pick<Provenance, 'prompt' | 'version'>): string {
  return [
    '<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?>',
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">',
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
    '  <rdf:Description rdf:about=""',
    '    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"',
    '    xmlns:xmp="http://ns.adobe.com/xap/1.0/"',
    '    xmlns:dc="http://purl.org/dc/elements/1.1/"',
    `    Iptc4xmpExt:DigitalSourceType="${DIGITAL_SOURCE_TYPE}"`,
    `    xmp:CreatorTool="referee ${escapeXml(version)}">`,
    `   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">${escapeXml(prompt)}</rdf:li></rdf:Alt></dc:description>`,
    '  </rdf:Description>',
    ' </rdf:RDF>',
    '</x:xmpmeta>',
    '<?xpacket end="r"?>',
  ].join('\n');
}

/** XML 1.0 knows no control characters but tab and line ends, and no halves of surrogate pairs: they become spaces. */
function escapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, ' ')
    .replace(/[&<>"]/g, (character) => entities[character]!);
}
