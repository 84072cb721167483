import { createSync } from "latentwire";
let seed=12345; const rnd=()=>{seed^=seed<<13;seed>>>=0;seed^=seed>>>17;seed^=seed<<5;seed>>>=0;return seed/4294967296};
const gauss=()=>Math.sqrt(-2*Math.log(rnd()))*Math.cos(2*Math.PI*rnd());
const n=294912, rows=new Uint16Array(n), sym=new Int32Array(n);
const c=createSync(); const sc=c.gaussianTable();
const S=[];for(let i=0;i<64;i++)S.push(Math.exp(Math.log(.11)+i*(Math.log(256)-Math.log(.11))/63));
for(let i=0;i<n;i++){const sg=Math.exp(Math.log(.5)+gauss());let k=0;while(k<63&&S[k]<sg)k++;rows[i]=k;sym[i]=Math.round(gauss()*Math.max(sg,.11));}
const med=a=>a.sort((x,y)=>x-y)[a.length>>1];
function bench(f,ms=400){for(let i=0;i<20;i++)f();const ts=[];const t0=performance.now();while(performance.now()-t0<ms){const a=performance.now();f();ts.push(performance.now()-a)}return med(ts)}
for(const simd of [true,false]) for (const lanes of simd?[32,16,8,1]:[32,1]){const c=createSync({simd});const p=c.indexed(c.gaussianTable(),rows);
 const out=new Uint8Array(1<<20), so=new Int32Array(n); const lat={type:'int32',dims:[n],data:sym};
 let pk=c.encode(lat,p,{lanes}).slice();
 const e=bench(()=>c.encode(lat,p,{lanes,out})), d=bench(()=>c.decode(pk,p,{type:'int32',out:so}));
 const q=bench(()=>c.decode(pk,p,{type:'float32'}));
 console.log(simd,lanes,pk.length,'enc',(n/e/1000).toFixed(0),'dec',(n/d/1000).toFixed(0),'dec f32',(n/q/1000).toFixed(0));
}
// W2
const C=48,HW=784,N2=C*HW,cdfs=[],offs=[],y=new Int32Array(N2);
for(let ch=0;ch<C;ch++){const b=0.16+0.17*(ch/(C-1)),K=6,len=13,mu=(rnd()-.5)*.3;const F=x=>x<0?.5*Math.exp(x/b):1-.5*Math.exp(-x/b);const pmf=new Float32Array(len+1);for(let k=0;k<len;k++){const v=k-K-mu;pmf[k]=F(v+.5)-F(v-.5)}pmf[len]=1e-9;cdfs.push([...c.quantizedCdf(pmf)]);offs.push(-K);for(let i=0;i<HW;i++){const u=rnd();let a=0,k=0;for(;k<len-1;k++){a+=pmf[k];if(u<a)break}y[ch*HW+i]=k-K}}
let bits=0;for(let i=0;i<N2;i++){const cd=cdfs[i/HW|0];const k=y[i]+6;bits-=Math.log2((cd[k+1]-cd[k])/65536)}
console.log('ideal',bits/8);
for(const simd of [true,false]) for (const lanes of simd?[32,16,8,1]:[16,1]){const c=createSync({simd});const p=c.factorized({offsets:offs,cdfs});
 const out=new Uint8Array(1<<20), so=new Int32Array(N2); const lat={type:'int32',dims:[1,48,28,28],data:y};
 let pk=c.encode(lat,p,{lanes}).slice(); const bare=c.encode(lat,p,{lanes,header:'none'}).length;
 const e=bench(()=>c.encode(lat,p,{lanes,out})), d=bench(()=>c.decode(pk,p,{type:'int32',out:so}));
 console.log(simd,lanes,pk.length-bits/8,'bare',bare-bits/8,'enc',(N2/e/1000).toFixed(0),'dec',(N2/d/1000).toFixed(0));
}
