import { it } from 'vitest';
import { readDocument } from '../../../sdk/spec/index.ts';
const N = 60000;
const docs: [string, any, any][] = [
  ['unknown keys', 'block', Object.fromEntries(Array.from({length: 199000}, (_, i) => ['key' + i, 1]))],
  ['nodes of 7', 'vdag', {name:'g', version:'1', nodes: Array(199000).fill(7)}],
  ['nodes good', 'vdag', {name:'g', version:'1', nodes: Array.from({length: N}, (_, i) => ({label: 'n'+i, blockId: 'b'}))}],
  ['nodes good aios', 'vdag', {vdagName:'g', nodes: Array.from({length: 20000}, (_, i) => ({nodeLabel: 'n'+i, manualBlockId: 'b'})), graph: {connections: Array.from({length: 20000}, (_, i) => ({nodeLabel: 'n'+(i+1), inputs: [{nodeLabel: 'n'+i}]}))}}],
  ['edges bad', 'vdag', {name:'g', version:'1', nodes: Array.from({length: 20000}, (_, i) => ({label: 'n'+i, blockId: 'b'})), edges: Array.from({length: 40000}, (_, i) => ({from: 'x'+i, to: 'y'+i}))}],
  ['policies', 'block', {componentUri:'a.b:1-x', minInstances:1,maxInstances:1, policies: Object.fromEntries(Array.from({length: 90000}, (_, i) => ['key' + i, {parameters: {}}]))}],
  ['policies data', 'component', {uri:'a.b:1-x', policies: Object.fromEntries(Array.from({length: 90000}, (_, i) => ['key' + i, {x: 1}]))}],
  ['fields', 'component', {uri:'a.b:1-x', componentInputProtocol: Object.fromEntries(Array.from({length: 60000}, (_, i) => ['key' + i, {type: 'string'}]))}],
  ['cluster', 'cluster', {id: 'c', nodes: {nodeData: Array.from({length: 10000}, (_, i) => ({id: 'n' + i, memory: 5, vcpus: {count: 3}, gpus: {count: 64, memory: 640}}))}}],
  ['regex', 'component', {uri:'a.b:1-x', inputProtocol: {allOf: Array.from({length: 3000}, (_, i) => ({pattern: '(a+)+$' + i}))}}],
  ['long uri', 'block', {componentUri: 'a'.repeat(1000000)+'!', minInstances: 1, maxInstances: 1}],
  ['long quantity', 'block', {componentUri: 'a.b:1-x', minInstances: 1, maxInstances: 1, resources: {memoryBytes: ' '.repeat(1000000)+'!'}}],
  ['long quantity2', 'block', {componentUri: 'a.b:1-x', minInstances: 1, maxInstances: 1, resources: {memoryBytes: '1'.repeat(1000000)+'!'}}],
];
it('x', () => {
  for (const [name, kind, doc] of docs) {
    const t = performance.now(); let r = 'ok';
    try { readDocument(kind, doc); } catch (e: any) { r = e.message.slice(0, 120) + ' #' + e.problems?.length; }
    console.log(name, Math.round(performance.now() - t), r);
  }
}, 300000);
