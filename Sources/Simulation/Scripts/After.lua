end
return { script(), mail, expiries }
