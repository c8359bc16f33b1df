import { knownOperators } from './models/onnx/infer.ts';
import { differentiableOperators } from './models/autodiff/registry.ts';
import { NON_DIFFERENTIABLE } from './models/autodiff/non-differentiable.ts';
const r=new Set([...differentiableOperators(),...NON_DIFFERENTIABLE.keys()]);
console.log('no rule', knownOperators().filter(n=>!r.has(n)));
console.log('rule, not inferred', [...r].filter(n=>!knownOperators().includes(n)));
import {readFileSync} from "node:fs"; const idx=JSON.parse(readFileSync("test/fixtures/operators/index.json","utf8"));
const ops=new Set(idx.map((e:any)=>e.op));
console.log('no reference', differentiableOperators().filter(n=>!ops.has(n)));
